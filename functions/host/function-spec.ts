import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { duration } from '../../core/duration-schema.ts';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { functionEntries } from '../registry.ts';

/** A function that the host can run. */
export interface FunctionSpec {
  readonly name: string;
  /** Module of the function, absolute, and the name of its handler in there. */
  readonly file: string;
  readonly exported: string;
  readonly timeoutMs: number;
  readonly memoryMiB: number;
  /** Processes at the same time. */
  readonly concurrency: number;
  /** All of its environment. */
  readonly environment: Readonly<Record<string, string>>;
}

const entry = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'needs up to 64 letters, digits, - and _'),
    rotator: z.enum(functionEntries.map(({ kind }) => kind)).optional(),
    handler: z.string().min(1).optional(),
    export: z.string().min(1).default('handler'),
    timeout: duration({ min: 100, max: 900_000 }).default(30_000),
    memory: z.int().min(64).max(10_240).default(256),
    concurrency: z.int().min(1).max(100).default(2),
    environment: z.record(z.string(), z.string()).default({}),
  })
  .refine(({ rotator, handler }) => (rotator === undefined) !== (handler === undefined), {
    message: 'needs exactly one of `rotator` and `handler`',
  });
const schema = z.strictObject({ functions: z.array(entry).min(1).max(100) });

/**
 * Every rotator under its own name, and the functions of a file; one there replaces ours of the same name.
 * @param environment of this process; what belongs to Rotor itself is not handed on
 * @throws RotorError `config.invalid`, `reference.unresolved`
 */
export function functionSpecs(
  file: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): readonly FunctionSpec[] {
  const ours = functionEntries.map(({ name, kind }) => entry.parse({ name, rotator: kind }));
  const given = file === undefined ? [] : readEntries(file);
  const names = given.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice) throw new RotorError('config.invalid', { what: `${file}: function ${twice} is there twice` });
  return [...ours.filter(({ name }) => !names.includes(name)), ...given].map((each) => ({
    name: each.name,
    file: each.rotator ? ourFile(each.rotator) : resolve(dirname(file ?? '.'), each.handler ?? ''),
    exported: each.rotator ? 'handler' : each.export,
    timeoutMs: each.timeout,
    memoryMiB: each.memory,
    concurrency: each.concurrency,
    environment: { ...inherited(environment), ...each.environment },
  }));
}

function readEntries(file: string): z.output<typeof entry>[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new RotorError('reference.unresolved', { what: `${file} can't be read (${foreignCode(error)})` });
  }
  let content: unknown;
  try {
    content = parse(text);
  } catch {
    throw new RotorError('config.invalid', { what: `${file}: it is no YAML` });
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${file}: ${path.join('.')}: ${message}`);
    throw new RotorError('config.invalid', { what: problems.join('\n') });
  }
  for (const { name, handler } of parsed.data.functions) {
    if (handler === undefined || existsSync(resolve(dirname(file), handler))) continue;
    throw new RotorError('reference.unresolved', {
      what: `${file}: function ${name}: there is no ${handler}`,
    });
  }
  return parsed.data.functions;
}

function ourFile(kind: string): string {
  const name = import.meta.url.endsWith('.ts') ? 'function.ts' : 'function.js';
  return fileURLToPath(new URL(`../${kind}/${name}`, import.meta.url));
}

/** The ledger's password, the key file and the like are none of a function's business. */
function inherited(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter(
      (each): each is [string, string] =>
        each[1] !== undefined && !/^(ROTOR_|NODE_OPTIONS$|NODE_CHANNEL_)/.test(each[0]),
    ),
  );
}
