import { readFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { keyed } from '../manifests/keyed.ts';
import { resourceName } from '../manifests/names.ts';
import { hookSources } from './registry.ts';
import type { HookSource } from './source.ts';

/** A sender that may report: `/v1/hooks/<name>`. */
export interface ConfiguredSource {
  readonly name: string;
  readonly source: HookSource;
  readonly settings: unknown;
  /** Deliveries a minute. */
  readonly perMinute: number;
}

const schema = z.strictObject({
  sources: z
    .record(
      resourceName,
      keyed(
        hookSources.map(({ kind, settings }) => ({ kind, schema: settings })),
        { perMinute: z.int().min(1).max(100_000).default(600).describe('Deliveries a minute') },
      ),
    )
    .refine((sources) => Object.keys(sources).length <= 200, 'must not be more than 200'),
});

/**
 * Reads the senders that may report.
 * @throws RotorError `config.invalid` naming each field that is wrong, `reference.unresolved` when it can't be read
 */
export async function loadHooks(file: string | undefined): Promise<ReadonlyMap<string, ConfiguredSource>> {
  if (file === undefined) return new Map();
  const text = await readFile(file, 'utf8').catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `ROTOR_HOOKS_FILE: ${file} can't be read (${foreignCode(error) ?? 'unknown error'})`,
    });
  });
  return parseHooks(text, file);
}

export function parseHooks(text: string, file: string): ReadonlyMap<string, ConfiguredSource> {
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
  return new Map(named);
}
