/** Text that grows is drawn no more often than this, unless a line or the whole of it is there. */
export const LEAST_GAP_MS = 150;

/** How often text that grows is drawn: often enough to be read along, and not with every word. */
export class Pace {
  private nLines = 0;
  private drawnMs = -Infinity;

  /** The text was drawn. */
  drawn(text: string, nowMs: number): void {
    this.nLines = countLines(text);
    this.drawnMs = nowMs;
  }

  /** How long to wait before a text is drawn; 0 if it is the whole or has a line more than before. */
  waitMs(text: string, isWhole: boolean, nowMs: number): number {
    return isWhole || countLines(text) > this.nLines ? 0 : Math.max(0, this.drawnMs + LEAST_GAP_MS - nowMs);
  }
}

function countLines(text: string): number {
  return text.split("\n").length;
}
