import { appendAudit } from '../../ledger/audit.ts';
import type { Ledger } from '../../ledger/database.ts';
import { lockStanding, noteRequest, policiesStoredIn, type StoredAt } from '../../ledger/event-requests.ts';
import { rememberDelivery } from '../../ledger/incidents.ts';
import type { EventAddress } from '../../stores/store.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { answerRequest, isAbout, type RequestAnswer } from './match-request.ts';
import type { RotationRequest } from './report.ts';

/** What one event came to. */
export interface RequestTaken {
  readonly type: string;
  readonly lookedFor: Pick<RotationRequest, 'storeKind' | 'names' | 'within'>;
  /** The policies that it is about; none when nothing fits what was looked for. */
  readonly policies: readonly { readonly policy: string; readonly answer: string; readonly why: string }[];
}

/** Undefined: the delivery was taken before, and nothing is done again. */
export type RequestsTaken = readonly RequestTaken[] | undefined;

/**
 * Commits what events ask for: the delivery, and for each policy whose store keeps the secret of an event a request that the
 * scheduler answers with a rotation, in one transaction. An event that was taken before, by whichever way, counts once.
 * @param source who sends it: `hook/azure`
 */
export async function takeRequests(
  orchestrator: Orchestrator,
  source: string,
  deliveryId: string,
  requests: readonly RotationRequest[],
): Promise<RequestsTaken> {
  const { ledger, log } = orchestrator;
  const taken = await ledger.transaction(async (transaction): Promise<RequestsTaken> => {
    if (!(await rememberDelivery(transaction, source, deliveryId))) return undefined;
    const kept = await keptByStores(orchestrator, transaction, requests);
    const results: RequestTaken[] = [];
    for (const request of requests) {
      const { type, storeKind, names, within } = request;
      const policies = [];
      for (const each of kept.filter((one) => one.store.kind === storeKind && isAbout(request, one.address)))
        policies.push({
          policy: each.policy,
          ...(await ask(transaction, source, request, each)),
        });
      results.push({ type, lookedFor: { storeKind, names, within }, policies });
      if (policies.length === 0)
        await appendAudit(transaction, {
          actor: source,
          action: 'rotation.unmatched',
          subject: source,
          detail: { type, reference: request.reference, storeKind, names: [...names], within: { ...within } },
        });
    }
    return results;
  });
  await orchestrator.faults?.reach('intake:requested');
  for (const { type, lookedFor, policies } of taken ?? []) {
    if (policies.length === 0)
      log.warn(
        { source, type, ...lookedFor },
        'an event asks for a rotation, and no policy keeps such a secret',
      );
    for (const each of policies) log.info({ source, type, ...each }, 'an event asks for a rotation');
  }
  return taken;
}

type Kept = StoredAt & { readonly address: EventAddress };

/** What the stores that are spoken of keep, by the names that events have for it. */
async function keptByStores(
  { registries, log }: Orchestrator,
  ledger: Ledger,
  requests: readonly RotationRequest[],
): Promise<readonly Kept[]> {
  const kinds = [...new Set(requests.map(({ storeKind }) => storeKind))];
  const all = await policiesStoredIn(ledger, kinds);
  return all.flatMap((each): Kept[] => {
    const store = registries.stores.find(({ kind }) => kind === each.store.kind);
    const spec = store?.spec.safeParse(each.store.spec);
    try {
      if (store?.eventAddress && spec?.success)
        return [{ ...each, address: store.eventAddress(spec.data, each.path) }];
    } catch {
      // A path that can't be kept there: every rotation says so.
    }
    log.warn({ policy: each.policy, kind: each.store.kind }, 'its store cannot be matched to events');
    return [];
  });
}

async function ask(
  ledger: Ledger,
  source: string,
  request: RotationRequest,
  { policyUid, policy, address }: Kept,
): Promise<Pick<RequestAnswer, 'why'> & { readonly answer: RequestAnswer['answer'] | 'repeated' }> {
  const answer = answerRequest(request, await lockStanding(ledger, policyUid), address.actsAs);
  const rotation = answer.answer === 'waits' ? undefined : answer.rotation;
  const { key, type, reference } = request;
  const isNew = await noteRequest(
    ledger,
    { policyUid, key, source, type, reference },
    answer.answer,
    // What is merely an echo of a rotation didn't ask for it.
    answer.answer === 'answered' ? rotation : undefined,
  );
  if (!isNew) return { answer: 'repeated', why: 'the same event was taken before' };
  await appendAudit(ledger, {
    actor: source,
    action: 'rotation.asked-for',
    subject: `policy/${policy}`,
    detail: { type, reference, answer: answer.answer, why: answer.why },
  });
  return { answer: answer.answer, why: answer.why };
}
