import type { SSM } from '@aws-sdk/client-ssm';
import type { Call } from '../../core/call.ts';
import { SecretValue } from '../../core/secret.ts';
import { type Asked, exceptionName } from '../aws/errors.ts';
import { ask, change } from '../aws/send.ts';
import type { Change, ParameterVersion } from './labels.ts';
import { explained } from './refusals.ts';

/** What is asked of AWS about one parameter, each repeated while it may be (aws/send.ts). */
export class ParameterCalls {
  readonly name: string;
  readonly #client: () => Promise<SSM>;

  constructor(name: string, client: () => Promise<SSM>) {
    this.name = name;
    this.#client = client;
  }

  /** Versions with their labels, oldest first, without values; empty when there is no such parameter. */
  async history(call: Call): Promise<readonly ParameterVersion[]> {
    const client = await this.#client();
    const found: ParameterVersion[] = [];
    let token: string | undefined;
    do {
      const request = { Name: this.name, MaxResults: 50, ...(token ? { NextToken: token } : {}) };
      const page = await ask(
        call,
        this.#asked('GetParameterHistory'),
        (options) => orNothing(client.getParameterHistory(request, options)),
        explained(this.name),
      );
      for (const version of page?.Parameters ?? []) {
        found.push({
          number: version.Version ?? 0,
          labels: version.Labels ?? [],
          modifiedAt: version.LastModifiedDate ?? new Date(0),
          type: version.Type ?? '',
          tier: version.Tier ?? 'Standard',
          keyId: version.KeyId,
          description: version.Description,
        });
      }
      token = page?.NextToken || undefined;
    } while (token);
    return found;
  }

  /** The value of one version; undefined when it is gone. */
  async value(call: Call, number: number): Promise<SecretValue | undefined> {
    const client = await this.#client();
    const found = await ask(
      call,
      this.#asked('GetParameter'),
      (options) =>
        orNothing(client.getParameter({ Name: `${this.name}:${number}`, WithDecryption: true }, options)),
      explained(this.name),
    );
    const value = found?.Parameter?.Value;
    return value === undefined ? undefined : SecretValue.of(value);
  }

  /** Adds a version. AWS has no token for that: after a lost answer `isDone` finds out whether it came through. */
  async put(
    call: Call,
    value: SecretValue,
    written: { readonly keyId?: string; readonly tier: string; readonly description?: string },
    isDone: () => Promise<boolean>,
    overwrite: boolean,
  ): Promise<void> {
    const client = await this.#client();
    const request = {
      Name: this.name,
      Value: value.reveal(),
      Type: 'SecureString' as const,
      Overwrite: overwrite,
      // Without its key AWS would encrypt the new version with the account's default one.
      ...(written.keyId ? { KeyId: written.keyId } : {}),
      ...(written.description ? { Description: written.description } : {}),
      Tier: written.tier as 'Standard' | 'Advanced',
    };
    const send = async (options: { readonly abortSignal: AbortSignal }) => {
      try {
        await client.putParameter(request, options);
      } catch (error) {
        // Somebody else was faster: theirs is as good.
        if (overwrite || exceptionName(error) !== 'ParameterAlreadyExists') throw error;
      }
    };
    await change(call, this.#asked('PutParameter'), send, isDone, explained(this.name));
  }

  async apply(call: Call, changed: Change): Promise<void> {
    const client = await this.#client();
    const { name } = this;
    const isDone = async () => {
      const labels = (await this.history(call)).find(({ number }) => number === changed.on)?.labels ?? [];
      return 'label' in changed
        ? changed.label.every((each) => labels.includes(each))
        : !changed.unlabel.some((each) => labels.includes(each));
    };
    if ('label' in changed) {
      const request = { Name: name, ParameterVersion: changed.on, Labels: [...changed.label] };
      const asked = this.#asked('LabelParameterVersion');
      await change(
        call,
        asked,
        (options) => client.labelParameterVersion(request, options),
        isDone,
        explained(name),
      );
      return;
    }
    const request = { Name: name, ParameterVersion: changed.on, Labels: [...changed.unlabel] };
    const asked = this.#asked('UnlabelParameterVersion');
    await change(
      call,
      asked,
      (options) => client.unlabelParameterVersion(request, options),
      isDone,
      explained(name),
    );
  }

  #asked(operation: string): Asked {
    return { action: `ssm:${operation}`, object: `parameter ${this.name}` };
  }
}

async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    const name = exceptionName(error);
    if (name === 'ParameterNotFound' || name === 'ParameterVersionNotFound') return undefined;
    throw error;
  }
}
