/** Text as HTML shows it. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/**
 * A page for a webview: no script runs in it, nothing is loaded, and its colours are the editor's.
 *
 * @param page a whole HTML document, with or without a head.
 * @param style rules that come after those of the page.
 */
export function confined(page: string, style: string): string {
  const policy = `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`;
  const withPolicy = /<head[^>]*>/i.test(page)
    ? page.replace(/<head[^>]*>/i, (head) => head + policy)
    : `<!DOCTYPE html><html><head>${policy}</head>${page}</html>`;
  return withPolicy.replace(/<\/head>/i, `<style>${style}</style></head>`);
}
