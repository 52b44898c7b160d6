/** Splits text that comes in pieces into lines, and gives each that is a JSON object. */
export class JsonLines {
  private rest = "";

  constructor(private readonly take: (value: Readonly<Record<string, unknown>>) => void) {}

  push(piece: string): void {
    const lines = (this.rest + piece).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      this.takeLine(line);
    }
  }

  /** Nothing more comes. */
  end(): void {
    this.takeLine(this.rest);
    this.rest = "";
  }

  private takeLine(line: string): void {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return;
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      this.take(value as Record<string, unknown>);
    }
  }
}
