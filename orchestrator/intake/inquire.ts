import { asRotorError, type RotorError } from '../../core/errors.ts';
import { backoffMs, Deadline } from '../../core/retry.ts';
import { appendAudit } from '../../ledger/audit.ts';
import { endIncident } from '../../ledger/incidents.ts';
import { claimInquiry, deferInquiries, type Inquiry, inquiryFailed } from '../../ledger/inquiries.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import type { ConfiguredSource } from './hooks-file.ts';
import type { OpenReport } from './source.ts';
import { readSecrets } from './surroundings.ts';
import { takeReports } from './take.ts';

/** Within the minute for which an inquiry is claimed. */
const ASK_MS = 20_000;
const BACKOFF = { baseMs: 1_000, maxMs: 3_600_000 } as const;
/** About a day. */
const MAX_TRIES = 30;

type Claimed = Inquiry<unknown, OpenReport> & { readonly tries: number };

export interface Inquirer {
  /** Asks for everything of one source that is due, one after the other: senders don't like to be asked twice at once. */
  of(source: string): Promise<void>;
  all(): Promise<void>;
}

/** Asks sources for what their reports came without. What fails is repeated; what a process had in hand is taken up by another. */
export function openInquirer(
  orchestrator: Orchestrator,
  sources: ReadonlyMap<string, ConfiguredSource>,
): Inquirer {
  const running = new Map<string, Promise<void>>();
  const askable = [...sources.values()].filter(({ source }) => source.inquire);
  const of = (name: string): Promise<void> => {
    const configured = askable.find((each) => each.name === name);
    if (!configured) return Promise.resolve();
    const before = running.get(name) ?? Promise.resolve();
    const mine = before
      .then(() => askAll(orchestrator, configured))
      .catch((thrown) =>
        orchestrator.log.warn(
          { source: name, err: asRotorError(thrown, 'asking a source') },
          'what a report came without is asked for later',
        ),
      )
      .finally(() => {
        if (running.get(name) === mine) running.delete(name);
      });
    running.set(name, mine);
    return mine;
  };
  return {
    of,
    // Whoever is at it goes on by itself.
    all: async () => {
      await Promise.all(askable.flatMap(({ name }) => (running.has(name) ? [] : [of(name)])));
    },
  };
}

async function askAll(orchestrator: Orchestrator, configured: ConfiguredSource): Promise<void> {
  const source = `hook/${configured.name}`;
  for (;;) {
    const inquiry = await claimInquiry<unknown, OpenReport>(orchestrator.ledger, source);
    if (!inquiry) return;
    await ask(orchestrator, configured, inquiry);
  }
}

async function ask(
  orchestrator: Orchestrator,
  { source, settings }: ConfiguredSource,
  inquiry: Claimed,
): Promise<void> {
  const { clock, log, ledger } = orchestrator;
  try {
    const asking = { deadline: Deadline.after(ASK_MS, clock), now: clock.now(), secrets: readSecrets };
    const report = await source.inquire?.(inquiry.wanted, inquiry.report, settings, asking);
    if (!report) return;
    await takeReports(orchestrator, inquiry.source, inquiry.deliveryId, [report], { answers: inquiry });
  } catch (thrown) {
    const error = asRotorError(thrown, 'asking a source');
    if (error.code === 'hook.replayed') return;
    log.warn(
      { source: inquiry.source, incident: inquiry.incidentId, err: error },
      'a source does not answer',
    );
    if (error.code === 'provider.throttled')
      return deferInquiries(ledger, inquiry, error.message, error.retryAfterMs ?? BACKOFF.maxMs);
    await failed(orchestrator, inquiry, error);
  }
}

/** Tried again, unless that is of no use or was tried for a day: then the incident ends without anybody knowing what leaked. */
async function failed({ ledger, random }: Orchestrator, inquiry: Claimed, error: RotorError): Promise<void> {
  const hopeless = error.code === 'provider.unsupported' || inquiry.tries >= MAX_TRIES;
  const pause = backoffMs(inquiry.tries, BACKOFF, random.int(1_000) / 1_000);
  await ledger.transaction(async (transaction) => {
    await inquiryFailed(transaction, inquiry.id, error.message, hopeless ? undefined : pause);
    if (!hopeless) return;
    await endIncident(transaction, inquiry.incidentId);
    await appendAudit(transaction, {
      actor: inquiry.source,
      action: 'incident.unread',
      subject: `incident/${inquiry.incidentId}`,
      detail: { code: error.code, why: error.message },
    });
  });
}
