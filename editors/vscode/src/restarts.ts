const WINDOW_MS = 180_000;
const WAITS_MS = [500, 2000, 8000];

/** How often a server that dies is started again: three times in three minutes, each later. */
export class Restarts {
  private deaths: number[] = [];

  /**
   * It has died.
   *
   * @param now in milliseconds.
   * @returns how long to wait before the next start; undefined when it was started enough.
   */
  nextWaitMs(now: number): number | undefined {
    this.deaths = this.deaths.filter((death) => now - death < WINDOW_MS);
    const wait = WAITS_MS[this.deaths.length];
    this.deaths.push(now);
    return wait;
  }

  /** The user wants it started. */
  forget(): void {
    this.deaths = [];
  }
}
