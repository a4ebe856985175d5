import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';

/** What the function signs with. */
export const KEY = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'what-the-function-elsewhere-signs-with',
};

/**
 * A provider that issues keys, and the function behind an address that rotates them: createSecret asks for a new one, testSecret
 * shows it, and revokeSecret, a step of its own, takes one back.
 */
export class KeyFunction {
  readonly valid = new Map([['id-first', 'key-first']]);
  /** Addresses of the API that it was told. */
  readonly told = new Set<string>();
  /** The one address that it knows; it calls what it is told when there is none. */
  endpoint: string | undefined;
  /** Says in its errors what it shouldn't. */
  indiscreet = false;
  /** Has one user only, whose key it replaces in place; it logs in with the pending or the current one. */
  inPlace = false;
  /** Status of the answer to the next testSecret, before anything is tried. */
  troubled: number | undefined;
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const event = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (event.Step === 'testSecret' && this.troubled !== undefined) {
      response.writeHead(this.troubled).end();
      this.troubled = undefined;
      return;
    }
    const told = String(request.headers['rotor-secrets-manager-endpoint']);
    this.told.add(told);
    await this.#work(event, this.endpoint ?? told).then(
      () => response.writeHead(200).end(),
      ({ name, message }: Error) =>
        response.writeHead(500).end(JSON.stringify({ errorType: name, errorMessage: message })),
    );
  }

  async #work(
    { Step, SecretId, ClientRequestToken }: Record<string, string>,
    endpoint: string,
  ): Promise<void> {
    const api = new SecretsManagerClient({
      endpoint,
      region: 'us-east-1',
      credentials: { ...KEY },
      maxAttempts: 1,
    });
    const read = async (stageName: string) => {
      const { SecretString = '{}', VersionId } = await api.send(
        new GetSecretValueCommand({ SecretId, VersionStage: stageName }),
      );
      return { document: JSON.parse(SecretString) as { keyId: string; key: string }, VersionId };
    };
    switch (Step) {
      case 'createSecret': {
        const put = await read('AWSPENDING').catch(() => undefined);
        if (put) return;
        const made = { keyId: this.inPlace ? 'id-first' : `id-${randomUUID()}`, key: `key-${randomUUID()}` };
        if (!this.inPlace) this.valid.set(made.keyId, made.key);
        const SecretString = JSON.stringify(made);
        const asked = { SecretId, ClientRequestToken, SecretString, VersionStages: ['AWSPENDING'] };
        await api.send(new PutSecretValueCommand(asked));
        return;
      }
      case 'setSecret': {
        if (!this.inPlace) return;
        const [pending, current] = [(await read('AWSPENDING')).document, (await read('AWSCURRENT')).document];
        if (![pending.key, current.key].includes(this.valid.get(pending.keyId) ?? ''))
          throw new Error('nothing logs in');
        this.valid.set(pending.keyId, pending.key);
        return;
      }
      case 'testSecret': {
        const { document } = await read('AWSPENDING');
        if (this.valid.get(document.keyId) === document.key) return;
        throw new Error(this.indiscreet ? `the provider refuses ${document.key}` : 'the provider refuses it');
      }
      case 'finishSecret': {
        const { VersionId } = await read('AWSCURRENT');
        const moved = { VersionStage: 'AWSCURRENT', MoveToVersionId: ClientRequestToken };
        await api.send(
          new UpdateSecretVersionStageCommand({ SecretId, ...moved, RemoveFromVersionId: VersionId }),
        );
        return;
      }
      case 'revokeSecret':
        this.valid.delete((await read('AWSPENDING')).document.keyId);
    }
  }
}
