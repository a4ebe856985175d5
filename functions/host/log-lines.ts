import { StringDecoder } from 'node:string_decoder';
import { endLine } from './messages.ts';

const TAIL_BYTES = 4_096;
const LONGEST_LINE = 64 * 1024;

/**
 * The lines that a function's process writes on one stream: each is passed on at once, and the last 4 KB of an invocation
 * are kept for who asks for them, as Lambda does (X-Amz-Log-Type: Tail).
 */
export class LogLines {
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: (line: string) => void;
  #rest = '';
  #tail = '';
  #awaited: { line: string; seen: () => void } | undefined;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** Forgets what was before; the promise resolves when the invocation has written its last line. */
  begin(requestId: string): Promise<void> {
    this.#tail = '';
    return new Promise((seen) => {
      this.#awaited = { line: endLine(requestId), seen };
    });
  }

  get tail(): string {
    return Buffer.from(this.#tail).subarray(-TAIL_BYTES).toString('utf8');
  }

  push(bytes: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(bytes)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#take(line);
    if (this.#rest.length > LONGEST_LINE) {
      this.#take(this.#rest);
      this.#rest = '';
    }
  }

  #take(line: string): void {
    // A function that wrote no line end has its last words in front of ours.
    const { line: end, seen } = this.#awaited ?? {};
    const isEnd = end !== undefined && line.endsWith(end);
    const own = isEnd ? line.slice(0, -end.length) : line;
    if (own !== '') {
      this.#tail = `${this.#tail}${own}\n`.slice(-2 * TAIL_BYTES);
      this.#onLine(own);
    }
    if (isEnd) seen?.();
  }
}
