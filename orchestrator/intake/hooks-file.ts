import { readFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { keyed } from '../manifests/keyed.ts';
import { resourceName } from '../manifests/names.ts';
import { hookSources } from './registry.ts';
import type { HookSource } from './source.ts';
import type { ConfiguredQueue } from './sqs/poll.ts';
import { sqsSettings } from './sqs/settings.ts';

/** A sender that may report: `/v1/hooks/<name>`. */
export interface ConfiguredSource {
  readonly name: string;
  readonly source: HookSource;
  readonly settings: unknown;
  /** Deliveries a minute. */
  readonly perMinute: number;
}

/** What the hooks file says: who may send, and where events are fetched. */
export interface HooksFile {
  readonly sources: ReadonlyMap<string, ConfiguredSource>;
  readonly queues: readonly ConfiguredQueue[];
}

const MOST = 200;
const few = (named: object) => Object.keys(named).length <= MOST;

const schema = z.strictObject({
  sources: z
    .record(
      resourceName,
      keyed(
        hookSources.map(({ kind, settings }) => ({ kind, schema: settings })),
        { perMinute: z.int().min(1).max(100_000).default(600).describe('Deliveries a minute') },
      ),
    )
    .refine(few, `must not be more than ${MOST}`)
    .default({}),
  queues: z
    .record(resourceName, z.strictObject({ sqs: sqsSettings }))
    .refine(few, `must not be more than ${MOST}`)
    .default({}),
});

/**
 * Reads the senders that may report, and the queues that are listened to.
 * @throws RotorError `config.invalid` naming each field that is wrong, `reference.unresolved` when it can't be read
 */
export async function loadHooks(file: string | undefined): Promise<HooksFile> {
  if (file === undefined) return { sources: new Map(), queues: [] };
  const text = await readFile(file, 'utf8').catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `ROTOR_HOOKS_FILE: ${file} can't be read (${foreignCode(error) ?? 'unknown error'})`,
    });
  });
  return parseHooks(text, file);
}

export function parseHooks(text: string, file: string): HooksFile {
  const document = parseDocument(text);
  const broken = document.errors[0];
  if (broken)
    throw new RotorError('config.invalid', {
      what: `${file}:${broken.linePos?.[0].line ?? 1}: it is not YAML`,
    });
  const read = schema.safeParse(document.toJS());
  if (!read.success) {
    const problems = read.error.issues.map((issue) => `${file}: ${issue.path.join('.')}: ${issue.message}`);
    throw new RotorError('config.invalid', { what: problems.join('\n') });
  }
  const named = Object.entries(read.data.sources).map(([name, { kind, spec, perMinute }]) => {
    const source = hookSources.find((each) => each.kind === kind) as HookSource;
    return [name, { name, source, settings: source.settings.parse(spec), perMinute }] as const;
  });
  const queues = Object.entries(read.data.queues).map(([name, { sqs }]) => ({ name, settings: sqs }));
  return { sources: new Map(named), queues };
}
