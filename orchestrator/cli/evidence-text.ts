import type { EvidenceView } from '../operations/evidence.ts';
import { relative, tableOf } from './output.ts';

const POD_KNOWN = {
  template: 'its template names it',
  started: 'made after delivery',
  'started-after': 'made after delivery',
  reported: 'it says so itself',
  acknowledged: 'it took the reload',
  untouched: 'untouched since before',
  mounted: 'the CSI driver has mounted it',
} as const;

/** Who was seen on the version, pod by pod, and what the provider showed of the other credential. */
export function evidenceText({ version, consumers, provider }: EvidenceView, now: Date): string {
  const id = version ?? '-';
  const rows = consumers.flatMap(({ consumer, version: known, healthy, pods }) =>
    pods === undefined || pods.length === 0
      ? [[consumer, '-', id, known, healthy ? 'yes' : 'NO', '-']]
      : pods.map(({ name, onVersion, by, ready, startedAt }) => [
          consumer,
          name,
          onVersion ? id : 'another',
          POD_KNOWN[by],
          ready ? 'yes' : 'NO',
          relative(startedAt, now),
        ]),
  );
  const unseen = consumers
    .filter(({ pods }) => !pods)
    .map(({ consumer, detail }) => `  ${consumer}: ${detail}`);
  return [
    'evidence:',
    ...(rows.length > 0
      ? [tableOf(['consumer', 'pod', 'version', 'known by', 'ready', 'started'], rows)]
      : []),
    ...unseen,
    ...(provider ? [`  provider: ${providerText(provider)}`] : []),
  ].join('\n');
}

function providerText({ evidence, sessions, remaining }: NonNullable<EvidenceView['provider']>): string {
  if (evidence === 'time-only') return 'not asked: the policy goes by time only';
  if (remaining !== undefined) return `the credential that was taken away was still used by ${remaining}`;
  return `${sessions ?? 'unknown'} sessions of the other credential`;
}
