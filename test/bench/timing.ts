import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import type { Ledger } from '../../ledger/database.ts';
import { parseHooks } from '../../orchestrator/intake/hooks-file.ts';
import { openHooks } from '../../orchestrator/intake/receive.ts';
import { hookSources } from '../../orchestrator/intake/registry.ts';
import type { HookRequest } from '../../orchestrator/intake/source.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { forgeries } from '../conformance/hooks-forgeries.ts';
import { hookScenarios, makeKeys, SECRETS, surroundings } from '../conformance/hooks-scenarios.ts';

/** Two kinds of forged requests of one sender, and whether their times can be told apart. */
export interface Compared {
  readonly what: string;
  /** Welch's t of the two; beyond 4.5 either way they differ, as dudect has it. */
  readonly t: number;
  /** Median of the one / median of the other. */
  readonly ratio: number;
  readonly microseconds: number;
}

const SAMPLES = 20_000;
const WARM_UP = 2_000;
/** Slower ones are the machine's: beyond this part of all, those of both kinds are left out. */
const KEPT = 0.9;

type Attempt = () => Promise<unknown>;

/**
 * Measures as dudect does (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?"): two classes of input in random
 * turn, the slow tail cropped at one limit for both, Welch's t-test over what is left.
 */
export async function timingOfForgeries(ledger: Ledger, folder: string): Promise<readonly Compared[]> {
  const keys = await makeKeys();
  const around = surroundings(keys);
  const results: Compared[] = [];
  for (const scenario of hookScenarios(keys)) {
    const source = hookSources.find(({ kind }) => kind === scenario.kind);
    const [first, last] = await forgeries(scenario.kind, scenario);
    if (!source || !first || !last) throw new Error(scenario.kind);
    const settings = source.settings.parse(scenario.settings);
    const refused =
      (request: HookRequest): Attempt =>
      () =>
        source.verify(request, settings, around).catch(() => undefined);
    const samples = 'secretsFrom' in scenario.settings ? SAMPLES : SAMPLES / 4;
    results.push({
      what: `${scenario.kind}: first byte wrong / last byte wrong`,
      ...(await compare(refused(first.request), refused(last.request), samples)),
    });
  }
  results.push(await knownAndUnknown(ledger, folder));
  return results;
}

/** Through the whole door, files read and refusals put on record as ever. */
async function knownAndUnknown(ledger: Ledger, folder: string): Promise<Compared> {
  const file = join(folder, 'hook-secret');
  await mkdir(folder, { recursive: true });
  await writeFile(file, SECRETS[0]);
  const yaml = `sources:\n  known: { generic: { secretsFrom: [{ file: ${file} }] } }\n`;
  const hooks = openHooks(
    { ledger, clock: systemClock, log: silentLog } as Orchestrator,
    parseHooks(yaml, 'hooks.yaml').sources,
  );
  const request = {
    method: 'POST',
    headers: { authorization: 'Bearer guessed' },
    body: Buffer.from('{}'),
  };
  let stranger = 0;
  // Each from another address, since one that is refused that often is held back.
  const ask = (name: string) => () => hooks.receive(name, `stranger-${stranger++}`, request);
  return {
    what: 'name of a source / name that nobody has',
    ...(await compare(ask('known'), ask('other'), SAMPLES / 4)),
  };
}

async function compare(one: Attempt, other: Attempt, samples: number): Promise<Omit<Compared, 'what'>> {
  const times: [number[], number[]] = [[], []];
  for (let at = 0; at < samples + WARM_UP; at += 1) {
    const which = Math.random() < 0.5 ? 0 : 1;
    const start = performance.now();
    await (which === 0 ? one() : other());
    const took = performance.now() - start;
    if (at >= WARM_UP) times[which].push(took);
  }
  const all = [...times[0], ...times[1]].sort((a, b) => a - b);
  const limit = all[Math.floor(all.length * KEPT)] ?? 0;
  const [a, b] = times.map((each) => each.filter((took) => took <= limit)) as [number[], number[]];
  return { t: welch(a, b), ratio: medianOf(a) / medianOf(b), microseconds: medianOf(b) * 1_000 };
}

/** Welch's t of two samples of unequal variance. */
function welch(one: readonly number[], other: readonly number[]): number {
  const { mean, error } = moments(one);
  const { mean: otherMean, error: otherError } = moments(other);
  return (mean - otherMean) / Math.sqrt(error + otherError);
}

/** Mean, and the square of its standard error. */
function moments(values: readonly number[]): { readonly mean: number; readonly error: number } {
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  const variance = values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (values.length - 1);
  return { mean, error: variance / values.length };
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
