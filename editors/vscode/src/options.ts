/** A setting's name as the server writes it: `kvStoreMib` is `kv_store_mib`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * Options in the server's shape.
 *
 * @param flat values by the editor's names: `{"completion.maxLines": 4}`.
 * @returns `{"completion": {"max_lines": 4}}`.
 */
export function nested(flat: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const options: Record<string, Record<string, unknown>> = {};
  for (const [name, value] of Object.entries(flat)) {
    const [section = "", key = ""] = name.split(".");
    (options[snakeCase(section)] ??= {})[snakeCase(key)] = value;
  }
  return options;
}
