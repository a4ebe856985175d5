import { html } from 'hono/html';
import type { SeenUse } from '../../rotators/rotator.ts';
import type { SecretReaders } from '../../workers/kubernetes/consumers/blast-radius.ts';
import type { IndirectReaders } from '../../workers/kubernetes/consumers/readers.ts';
import type { SecretHolder } from '../../workers/kubernetes/secret-holders.ts';
import type { ConsumerProof } from '../../workers/rollouts/rollout.ts';
import type { EvidenceRead, SeenEvidence } from './seen.ts';

/** Who might read a leaked credential, who had it, who used it and who read it: the part of the page that was seen. */
export function seenSection(seen: readonly SeenEvidence[], reads: readonly EvidenceRead[]) {
  return html`<h2>Who had it</h2>
${seen.length === 0 ? html`<p>Nothing was looked at yet, or nothing had to be.</p>` : ''}
${seen.map(
  (each) => html`<h3>${each.policy}: ${TITLES[each.kind] ?? each.kind}</h3>
<p>Seen at ${each.at}.</p>
${each.problem === undefined ? factsOf(each) : html`<p class="bad">It could not be seen: ${each.problem}</p>`}
${typeof each.facts.note === 'string' ? html`<p>${each.facts.note}.</p>` : ''}`,
)}
<h2>Who read it since it was delivered</h2>
${reads.length === 0 ? html`<p>No cluster has told of a read. Clusters tell only where their audit webhook is set up.</p>` : readTable(reads)}`;
}

const TITLES: Readonly<Record<string, string>> = {
  readers: 'who might read the Secret, by RBAC',
  pods: 'pods that had it',
  consumers: 'consumers that were proven to have it',
  use: 'who used it when the report came',
  sessions: 'who used it when it was disabled',
  attempt: 'a real attempt with it',
};

function factsOf({ kind, facts }: SeenEvidence) {
  switch (kind) {
    case 'readers':
      return ((facts.secrets ?? []) as readonly SecretReaders[]).map(readersTable);
    case 'pods':
      return podTable((facts.pods ?? []) as readonly SecretHolder[]);
    case 'consumers':
      return list(
        ((facts.consumers ?? []) as readonly ConsumerProof[]).map(
          ({ consumer, detail, pods = [] }) =>
            `${consumer}: ${detail}${pods.length > 0 ? `; pods ${pods.map(({ name }) => name).join(', ')}` : ''}`,
        ),
      );
    case 'use':
      return list([
        `${told(facts.sessions, 'an unknown number of')} sessions of ${told(facts.identity, 'it')}`,
        ...((facts.clients ?? []) as readonly string[]),
      ]);
    case 'sessions':
      return sessionTable(facts as unknown as SeenUse);
    default:
      return html`<p>${told(facts.what, '')}</p>`;
  }
}

function readersTable({ secret, cluster, readers, indirect, blindSpots }: SecretReaders) {
  return html`<p>Secret ${secret} in cluster ${cluster}; besides ${indirectText(indirect)}.</p>
<table><tr><th>who</th><th>may</th><th>through</th></tr>
${readers.map(({ subject, verbs, through }) => html`<tr><td>${subject}</td><td>${verbs.join(', ')}</td><td>${through}</td></tr>`)}</table>
${blindSpots.map((spot) => html`<p class="bad">Not seen: ${spot}</p>`)}`;
}

function indirectText({ mount, exec, impersonate, escalate }: IndirectReaders): string {
  return `${mount} who may make pods there, ${exec} who may run commands in them, ${impersonate} who may act as others, ${escalate} who may give themselves roles`;
}

function podTable(pods: readonly SecretHolder[]) {
  return html`<table><tr><th>pod</th><th>of</th><th>Secret</th><th>node</th><th>account</th><th>phase</th><th>since</th></tr>
${pods.map(
  (each) =>
    html`<tr><td>${each.pod}</td><td>${each.owner ?? ''}</td><td>${each.secret}</td><td>${each.node ?? ''}</td><td>${each.serviceAccount ?? ''}</td><td>${each.phase ?? ''}</td><td>${each.startedAt ?? ''}</td></tr>`,
)}</table>`;
}

function sessionTable({ identity, sessions, seen = [] }: SeenUse) {
  return html`<p>${sessions} open sessions of ${identity} were ended.</p>
<table><tr><th>from</th><th>application</th><th>since</th></tr>
${seen.map(({ client, application, since }) => html`<tr><td>${client ?? 'local, or not told'}</td><td>${application ?? ''}</td><td>${since ?? ''}</td></tr>`)}</table>`;
}

function readTable(reads: readonly EvidenceRead[]) {
  return html`<table><tr><th>when</th><th>who</th><th>what</th><th>from</th><th>by</th><th>answer</th></tr>
${reads.map(
  ({ at, user, impersonated, verb, namespace, name, ips, userAgent, code }) =>
    html`<tr><td>${at}</td><td>${user}${impersonated === null ? '' : ` as ${impersonated}`}</td><td>${verb} ${namespace ?? 'all namespaces'}/${name ?? 'all Secrets'}</td><td>${ips.join(', ')}</td><td>${userAgent ?? ''}</td><td>${code ?? ''}</td></tr>`,
)}</table>`;
}

function list(lines: readonly string[]) {
  return html`<ul>${lines.map((line) => html`<li>${line}</li>`)}</ul>`;
}

function told(value: unknown, fallback: string): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : fallback;
}
