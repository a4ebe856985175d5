import { readFileSync } from 'node:fs';
import type { Hono } from 'hono';
import { z } from 'zod';
import { systemClock } from '../core/clock.ts';
import { foreignCode, RotorError } from '../core/errors.ts';
import { jsonIn } from '../core/json.ts';
import type { Logger } from '../core/log.ts';
import { SecretValue } from '../core/secret.ts';
import type { Access } from './host/access.ts';
import { type HostEnv, hostApp } from './host/app.ts';
import { functionSpecs } from './host/function-spec.ts';
import { FunctionPool } from './host/pool.ts';
import { HTTP_FORMS, type HttpForm } from './http/routes.ts';

/** Options of `rotor functions serve`, as they were typed. */
export interface ServeOptions {
  /** YAML with further functions; docs/functions.md. */
  readonly functions?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** JSON `{"accessKeyId", "secretAccessKey"}`. */
  readonly accessKeyFile?: string | undefined;
  readonly trustNetwork?: boolean | undefined;
  /** With `form`: the one function that is called at whatever path. */
  readonly function?: string | undefined;
  readonly form?: string | undefined;
}

export interface FunctionHost {
  readonly app: Hono<HostEnv>;
  readonly names: readonly string[];
  close(): Promise<void>;
}

/**
 * The function host, ready to be listened with: the one way into this room for those above it.
 * @param loopback whether only this machine will reach it
 * @throws RotorError `config.invalid`, `reference.unresolved`
 */
export function createFunctionHost(
  options: ServeOptions,
  { loopback, env, log }: { loopback: boolean; env: NodeJS.ProcessEnv; log: Logger },
): FunctionHost {
  const access = accessOf(options);
  if (!loopback && !access.token && !access.accessKey && !access.trustNetwork) {
    throw new RotorError('config.invalid', {
      what: 'others than this machine could call the functions without proving who they are',
      hint: 'Name a --token-file or an --access-key-file; or say --trust-network where a gateway has asked already.',
    });
  }
  const pools = new Map(
    functionSpecs(options.functions, env).map((spec) => [
      spec.name,
      new FunctionPool(spec, (line, requestId) =>
        log.info({ function: spec.name, requestId, line: lineOf(line) }, 'function'),
      ),
    ]),
  );
  const app = hostApp({ pools, access, only: onlyOf(options), clock: systemClock, log });
  return {
    app,
    names: [...pools.keys()],
    close: async () => {
      await Promise.all([...pools.values()].map((pool) => pool.close()));
    },
  };
}

/** Our own functions write JSON: it stays JSON. */
function lineOf(line: string): unknown {
  if (!line.startsWith('{')) return line;
  return jsonIn(line) ?? line;
}

function onlyOf({ function: name, form }: ServeOptions): { name: string; form: HttpForm } | undefined {
  if (name === undefined && form === undefined) return undefined;
  const known = HTTP_FORMS.find((each) => each === (form ?? 'http'));
  if (name !== undefined && known) return { name, form: known };
  throw new RotorError('config.invalid', {
    what: `--form needs one of ${HTTP_FORMS.join(', ')}, and the --function that is called so`,
  });
}

const accessKey = z.strictObject({ accessKeyId: z.string().min(1), secretAccessKey: z.string().min(16) });

function accessOf({ tokenFile, accessKeyFile, trustNetwork = false }: ServeOptions): Access {
  const token = tokenFile === undefined ? undefined : readText('--token-file', tokenFile);
  if (token !== undefined && !/^[\x21-\x7e]{16,}$/.test(token))
    throw new RotorError('config.invalid', {
      what: `${tokenFile}: needs one line of at least 16 characters`,
    });
  const key = accessKeyFile === undefined ? undefined : readAccessKey(accessKeyFile);
  return {
    trustNetwork,
    ...(token === undefined ? {} : { token: SecretValue.of(token) }),
    ...(key === undefined ? {} : { accessKey: key }),
  };
}

function readAccessKey(file: string) {
  let content: unknown;
  try {
    content = JSON.parse(readText('--access-key-file', file));
  } catch (error) {
    if (error instanceof RotorError) throw error;
  }
  const parsed = accessKey.safeParse(content);
  if (!parsed.success)
    throw new RotorError('config.invalid', {
      what: `${file}: needs {"accessKeyId": ..., "secretAccessKey": ...}`,
    });
  const { accessKeyId, secretAccessKey } = parsed.data;
  return { accessKeyId, secretAccessKey: SecretValue.of(secretAccessKey) };
}

function readText(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new RotorError('reference.unresolved', {
      what: `${option}: ${file} can't be read (${foreignCode(error)})`,
    });
  }
}
