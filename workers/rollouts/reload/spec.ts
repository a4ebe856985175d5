import { isAbsolute, normalize } from 'node:path';
import { z } from 'zod';
import { parseDuration } from '../../../core/duration.ts';

/** No redirect is followed, and no credential stands in it. */
export const url = z
  .string()
  .refine(isPlainUrl, { error: 'must be an http or https URL without user and password' });
const absolutePath = z.string().refine((path) => isAbsolute(path) && normalize(path) === path, {
  error: 'must be an absolute path without ".."',
});
export const duration = z
  .string()
  .refine((text) => (parseDuration(text) ?? 0) > 0, { error: 'must be a duration such as "30s"' });
/** Program and arguments. No shell reads it, so nothing in it is expanded. */
export const argv = z.strictObject({ run: z.tuple([absolutePath], z.string()) });

/** RFC 6901. */
export const jsonPointer = z
  .string()
  .regex(/^(\/([^~/]|~[01])*)+$/, { error: 'must be a JSON pointer such as "/credential/version"' });

/** How the consumer is told. */
const trigger = z.union([
  z.strictObject({ http: z.strictObject({ url, method: z.enum(['POST', 'PUT', 'GET']).default('POST') }) }),
  z.strictObject({
    signal: z.strictObject({
      pidFile: absolutePath,
      signal: z.enum(['SIGHUP', 'SIGUSR1', 'SIGUSR2']).default('SIGHUP'),
    }),
  }),
  z.strictObject({ command: argv }),
]);

/** How its health is seen. */
const health = z.union([
  z.strictObject({
    http: z.strictObject({
      url,
      expectStatus: z.int().min(100).max(599).default(200),
      /** To the version id in the answer; makes the proof `reported`. */
      versionPointer: jsonPointer.optional(),
    }),
  }),
  z.strictObject({ command: argv }),
]);

/** `consumers[].reload` of a policy. Durations stay text, so that what was parsed parses again. */
export const reloadSpec = z.strictObject({
  via: trigger,
  health,
  /** How long it may take to become healthy. */
  healthTimeout: duration.default('30s'),
  healthInterval: duration.default('200ms'),
  /** Successes in a row that count as healthy. */
  stableFor: z.int().min(1).max(1000).default(1),
});

export type ReloadSpec = z.infer<typeof reloadSpec>;

function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return ['http:', 'https:'].includes(protocol) && username === '' && password === '';
}
