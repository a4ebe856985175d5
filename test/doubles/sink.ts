import { type DoubleAnswer, type DoubleRequest, HttpDouble } from './http-double.ts';

/**
 * A double of what people put behind `httpSink`: takes bodies at /take, refuses a fence that is lower than one it has seen, and
 * tells at /version which version it holds.
 */
export class SinkDouble extends HttpDouble {
  /** The last body that was taken. */
  held: string | undefined;
  version: string | undefined;
  readonly taken: DoubleRequest[] = [];
  readonly #token: string | undefined;
  #fence = 0n;

  constructor(token?: string) {
    super();
    this.#token = token;
  }

  protected usual(request: DoubleRequest): DoubleAnswer {
    const { method, path, headers, body } = request;
    if (this.#token !== undefined && headers.authorization !== `Bearer ${this.#token}`)
      return { status: 401 };
    if (method === 'GET' && path === '/version')
      return { status: 200, body: { database: { version: this.version ?? null } } };
    if (method === 'GET' || path !== '/take') return { status: 404 };
    const fence = BigInt(String(headers['rotor-fence'] ?? '0'));
    if (fence < this.#fence) return { status: 412 };
    this.#fence = fence;
    this.taken.push(request);
    this.held = body;
    this.version = String(headers['rotor-version']);
    return { status: 204 };
  }
}
