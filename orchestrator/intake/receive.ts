import { randomBytes } from 'node:crypto';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { asRotorError, RotorError } from '../../core/errors.ts';
import { httpRequest } from '../../core/http.ts';
import { Deadline } from '../../core/retry.ts';
import { SecretValue } from '../../core/secret.ts';
import { appendAudit } from '../../ledger/audit.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import type { ConfiguredSource } from './hooks-file.ts';
import { type Inquirer, openInquirer } from './inquire.ts';
import { assertBearer } from './proof.ts';
import type { HookRequest, Surroundings } from './source.ts';
import { hookSurroundings } from './surroundings.ts';
import { takeReports } from './take.ts';
import { takeReads } from './take-reads.ts';
import { takeRequests } from './take-requests.ts';

/** What a sender gets to know: a status, and no word about what was wrong. */
export interface HookAnswer {
  readonly status: 200 | 202 | 400 | 401 | 409 | 413 | 429 | 503;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Longest body in bytes, unless a source says otherwise. */
export const MAX_BYTES = 1024 * 1024;
const CONFIRM_MS = 5_000;
/** Refusals of one source that are put on record each minute; a flood of forgeries must not fill the trail. */
const RECORDED_PER_MINUTE = 30;
/** Requests a minute that prove nothing, for each address. */
const STRANGERS_PER_MINUTE = 60;

export interface Hooks {
  receive(name: string, address: string, request: HookRequest): Promise<HookAnswer>;
  /** How long a body of this sender may be, told by its headers before it is read. */
  limit(name: string, headers: HookRequest['headers']): Promise<number>;
  /** Asks sources for what their reports came without, those that are due; called once in a while. */
  inquire(): Promise<void>;
}

/** The door for reports: who sends, whether it is proven, what it says; committed before it is answered. */
export function openHooks(orchestrator: Orchestrator, sources: ReadonlyMap<string, ConfiguredSource>): Hooks {
  const around = hookSurroundings(orchestrator.clock);
  const standIn = standIns(sources);
  const named = (name: string) => {
    // Both are looked up for any name.
    const [configured, other] = [sources.get(name), standIn(name)];
    return { configured, tried: configured ?? other };
  };
  const inquirer = openInquirer(orchestrator, sources);
  const recorded = new RateLimiterMemory({ points: RECORDED_PER_MINUTE, duration: 60 });
  const strangers = new RateLimiterMemory({ points: STRANGERS_PER_MINUTE, duration: 60 });
  const perSource = new Map(
    [...sources.values()].map(({ name, perMinute }) => [
      name,
      new RateLimiterMemory({ points: perMinute, duration: 60 }),
    ]),
  );

  return {
    inquire: inquirer.all,
    limit: async (name, headers) => {
      const { configured, tried: { source, settings } = {} } = named(name);
      const most = source?.maxBytes?.(settings);
      if (most === undefined) return MAX_BYTES;
      // A stranger makes us hold no more than anybody else.
      const proven = await source
        ?.verify({ method: 'POST', headers, body: Buffer.alloc(0) }, settings, around())
        .then(
          () => true,
          () => false,
        );
      return proven && configured ? most : MAX_BYTES;
    },
    receive: async (name, address, request) => {
      try {
        await take(strangers, address, 0);
        const { configured, tried } = named(name);
        await prove(tried, request, around());
        if (!configured) throw new RotorError('hook.unauthenticated', { what: 'there is no such source' });
        const limiter = perSource.get(name);
        if (limiter) await take(limiter, name, 1);
        return await act(orchestrator, configured, request, inquirer);
      } catch (thrown) {
        const error = asRotorError(thrown, `hook ${name}`);
        const answer = refusal(error);
        if (answer.status === 401) await strangers.penalty(address).catch(() => undefined);
        await record(orchestrator, recorded, name, address, error);
        return answer;
      }
    },
  };
}

/**
 * For each name that nobody has, always the same one of the sources that are there, by a hash that nobody else can compute: a
 * request to it takes what a forged one to that source takes.
 */
function standIns(
  sources: ReadonlyMap<string, ConfiguredSource>,
): (name: string) => ConfiguredSource | undefined {
  const all = [...sources.values()];
  const key = SecretValue.of(randomBytes(32));
  return (name) => all[SecretValue.of(name).fingerprint(key).readUInt32BE() % all.length];
}

async function prove(
  configured: ConfiguredSource | undefined,
  request: HookRequest,
  around: Surroundings,
): Promise<void> {
  if (configured) await configured.source.verify(request, configured.settings, around);
  else assertBearer(request, []);
}

async function act(
  orchestrator: Orchestrator,
  { name, source, settings }: ConfiguredSource,
  request: HookRequest,
  inquirer: Inquirer,
): Promise<HookAnswer> {
  const message = source.read(request, settings);
  switch (message.kind) {
    case 'handshake': {
      if (message.confirm !== undefined)
        await httpRequest(Deadline.after(CONFIRM_MS, orchestrator.clock), { url: message.confirm });
      await appendAudit(orchestrator.ledger, {
        actor: `hook/${name}`,
        action: 'hook.confirmed',
        subject: `hook/${name}`,
      });
      return { status: 200, body: message.body ?? {} };
    }
    case 'nothing':
      orchestrator.log.info({ source: name, why: message.why }, 'a hook delivery had nothing to act on');
      return { status: 202, body: {} };
    case 'reads': {
      const kept = await takeReads(orchestrator, `hook/${name}`, message.context, message.reads);
      orchestrator.log.debug({ source: name, kept }, 'reads of Secrets are on record');
      return { status: 202, body: {} };
    }
    case 'rotations': {
      // A repetition is no failure: senders of such events repeat whatever isn't answered well.
      const requests = await takeRequests(orchestrator, `hook/${name}`, message.deliveryId, message.requests);
      return { status: 202, body: requests ? { requests } : { repeated: true } };
    }
    case 'reports': {
      const { deliveryId, reports, answer, wanted } = message;
      const by = `hook/${name}`;
      const { incidents, known } = await takeReports(orchestrator, by, deliveryId, reports, { wanted });
      // The sender doesn't wait for that; should this process die now, it is asked for later.
      if (wanted !== undefined) void inquirer.of(name);
      return { status: 202, body: answer ? answer(known) : { incidents } };
    }
  }
}

const STATUS = {
  'hook.unauthenticated': 401,
  'hook.malformed': 400,
  'hook.replayed': 409,
  'api.rate-limited': 429,
} as const;

/** No detail: a stranger learns a status, and that of a failure of ours is to come again. */
function refusal({ code, retryAfterMs }: RotorError): HookAnswer {
  const known: Partial<Record<string, HookAnswer['status']>> = STATUS;
  const status = known[code] ?? 503;
  const again = status === 429 || status === 503;
  return {
    status,
    body: {},
    ...(again ? { headers: { 'retry-after': String(Math.ceil((retryAfterMs ?? 5_000) / 1_000)) } } : {}),
  };
}

async function record(
  orchestrator: Orchestrator,
  recorded: RateLimiterMemory,
  name: string,
  address: string,
  error: RotorError,
): Promise<void> {
  const { ledger, log } = orchestrator;
  const source = /^[\w.-]{1,63}$/.test(name) ? name : '(not a name)';
  log.warn({ source, address, err: error }, 'a hook delivery was refused');
  if (error.code === 'api.rate-limited') return;
  try {
    await recorded.consume(source);
  } catch {
    return;
  }
  const event = {
    actor: `hook/${source}`,
    action: 'hook.refused',
    subject: `hook/${source}`,
    detail: { code: error.code, why: error.toJSON().what, address },
  };
  await appendAudit(ledger, event).catch((thrown) =>
    log.warn({ err: asRotorError(thrown, 'recording a refusal') }, 'a refusal is not on record'),
  );
}

async function take(limiter: RateLimiterMemory, key: string, points: number): Promise<void> {
  try {
    if (points === 0) {
      const state = await limiter.get(key);
      if (!state || state.consumedPoints < limiter.points) return;
      throw state;
    }
    await limiter.consume(key, points);
  } catch (thrown) {
    if (!(thrown instanceof RateLimiterRes)) throw thrown;
    throw new RotorError('api.rate-limited', {
      what: 'too many requests',
      retryAfterMs: thrown.msBeforeNext,
    });
  }
}
