import type { Call } from '../../core/call.ts';

/** Where manifests are kept. Files are named as in the place (`clusters/prod/shop/app.yaml`). */
export interface Place {
  /** What a file holds now; undefined when it isn't there. */
  read(call: Call, file: string): Promise<string | undefined>;

  /**
   * Puts a text in place of `before`.
   * @returns false when something else stands there by now
   */
  replace(
    call: Call,
    file: string,
    before: string | undefined,
    text: string,
    message: string,
  ): Promise<boolean>;

  /** For messages. */
  readonly name: string;

  close(): Promise<void>;
}
