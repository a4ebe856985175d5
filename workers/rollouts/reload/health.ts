import { RotorError } from '../../../core/errors.ts';
import { httpRequest } from '../../../core/http.ts';
import { jsonIn } from '../../../core/json.ts';
import type { Deadline } from '../../../core/retry.ts';
import { runCommand } from './command.ts';
import type { ReloadSpec } from './spec.ts';

/** One look is cut off after this long, so that one hanging answer doesn't use up the whole time. */
const LOOK_MS = 5_000;

/**
 * Looks once.
 * @param versionId the version that the consumer must name, if the spec says where; undefined: any
 * @returns what is wrong, in words without anything of the body; undefined when healthy
 */
export async function problemOf(
  deadline: Deadline,
  consumer: string,
  health: ReloadSpec['health'],
  versionId: string | undefined,
): Promise<string | undefined> {
  const look = deadline.within(LOOK_MS);
  if ('command' in health) {
    return runCommand(look, health.command.run, {
      consumer,
      ...(versionId === undefined ? {} : { versionId }),
    });
  }
  return httpProblem(look, health.http, versionId);
}

/** Where to look, and what must be seen there. */
export interface HttpHealth {
  readonly url: string;
  readonly expectStatus: number;
  readonly versionPointer?: string | undefined;
}

/**
 * Looks once over HTTP, until the deadline.
 * @returns what is wrong, in words without anything of the body; undefined when healthy
 */
export async function httpProblem(
  look: Deadline,
  { url, expectStatus, versionPointer }: HttpHealth,
  versionId: string | undefined,
): Promise<string | undefined> {
  try {
    const { status, body } = await httpRequest(look, { url });
    if (status !== expectStatus) return `health is status ${status} instead of ${expectStatus}`;
    if (versionPointer === undefined || versionId === undefined) return undefined;
    return versionProblem(body, versionPointer, versionId);
  } catch (error) {
    if (error instanceof RotorError) return error.message;
    throw error;
  }
}

function versionProblem(body: string, pointer: string, versionId: string): string | undefined {
  const document = jsonIn(body);
  if (document === undefined) return 'its health answer is not JSON';
  const reported = resolvePointer(document, pointer);
  if (reported === versionId) return undefined;
  if (typeof reported !== 'string') return `its health answer names no version at ${pointer}`;
  // Shown only when it looks like an id of ours: a wrong pointer might point at anything.
  const shown = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(reported) ? ` (${reported})` : '';
  return `it reports another version${shown} instead of ${versionId}`;
}

/** RFC 6901, section 4. */
export function resolvePointer(document: unknown, pointer: string): unknown {
  let at = document;
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}
