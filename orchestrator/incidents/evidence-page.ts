import { html } from 'hono/html';
import { formatDuration } from '../../core/duration.ts';
import type { TargetView } from './describe.ts';
import type { EvidenceBundle } from './evidence.ts';
import { seenSection } from './seen-page.ts';
import type { StepView } from './step-view.ts';

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #d0d7de}
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #eaeef2;vertical-align:top}
.good{color:#116329}.bad{color:#a40e26;font-weight:600}code{font-size:.85em;overflow-wrap:anywhere}`;

/** The bundle as one page for people: no script, nothing from elsewhere, so that it can be kept and printed. */
export function evidencePage({
  incident,
  rotations,
  seen,
  reads,
  trail,
  chain,
  madeAt,
}: EvidenceBundle): string {
  const { id, severity, openedBy, openedAt, endedAt, state, targets, reports } = incident;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Incident ${id}</title><style>${STYLE}</style></head><body>
<h1>Incident <code>${id}</code></h1>
<p>${STATES[state] ?? state}, severity ${severity}; opened by ${openedBy} at ${time(openedAt)}${endedAt ? `, ended at ${time(endedAt)}` : ''}.</p>
<h2>What was reported</h2>
<table><tr><th>when</th><th>by</th><th>what</th><th>severity</th><th>found</th></tr>
${reports.map(
  ({ at, source, report }) =>
    html`<tr><td>${time(at)}</td><td>${source}</td><td>${text(report.type)}, ${text(report.reference)}</td><td>${text(report.severity)}</td><td>${matchedText(report.matched)}</td></tr>`,
)}</table>
<h2>What was done</h2>
${targets.map((target) => targetSection(target))}
${seenSection(seen, reads)}
<h2>Rotations</h2>
${rotations.map(
  ({
    id: rotation,
    policy,
    state: how,
    steps,
    error,
  }) => html`<h3>${policy}: ${how} <code>${rotation}</code></h3>
${error ? html`<p class="bad">${error.what}</p>` : ''}
<table><tr><th>step</th><th>state</th><th>began</th><th>took</th></tr>
${steps.map(
  (step) =>
    html`<tr><td>${step.direction === 'back' ? `undo ${step.step}` : step.step}</td><td>${step.state}</td><td>${step.startedAt ? time(step.startedAt) : ''}</td><td>${step.durationMs === undefined ? '' : formatDuration(step.durationMs)}</td></tr>`,
)}</table>`,
)}
<h2>Audit trail</h2>
<p class="${chain.verified ? 'good' : 'bad'}">${chain.verified ? `The hash chain was intact when this page was made; its head is row ${chain.head?.seq ?? 0}, ${chain.head?.hash ?? '(empty)'}.` : `The hash chain is broken: ${chain.broken}`}</p>
<table><tr><th>row</th><th>when</th><th>who</th><th>what</th><th>hash</th></tr>
${trail.map(
  ({ seq, at, actor, action, subject, hash }) =>
    html`<tr><td>${seq}</td><td>${at}</td><td>${actor}</td><td>${action} ${subject}</td><td><code>${hash.slice(0, 16)}</code></td></tr>`,
)}</table>
<p>Made at ${madeAt}. <code>rotor audit verify</code> checks the chain; the JSON bundle has all details.</p>
</body></html>`;
  return String(page);
}

function targetSection(target: TargetView) {
  const { policy, matchedBy, mode, answer, result, reason, timeline, proof, related, steps } = target;
  const since = new Date(timeline.reported).getTime();
  const moments = Object.entries(timeline).flatMap(([what, at]) =>
    at ? [{ what: WORDS[what] ?? what, at: new Date(at) }] : [],
  );
  return html`<h3>${policy}</h3>
<p>Found by ${matchedBy.join(', ')}; ${answer === 'rotate' ? `rotated, ${mode === 'revoke-first' ? 'revoked first' : 'consumers first'}` : answer === 'prove' ? 'revoked before, and tried again' : 'put on record'}. ${result ?? 'Still open.'}${reason ? `: ${reason}` : ''}</p>
<table><tr><th>moment</th><th>at</th><th>after the report</th></tr>
${moments.map(({ what, at }) => html`<tr><td>${what}</td><td>${time(at)}</td><td>${formatDuration(Math.max(0, at.getTime() - since))}</td></tr>`)}</table>
${steps.length > 0 ? html`<table><tr><th>step of its runbook</th><th>state</th><th>at</th><th></th></tr>${steps.map(stepRow)}</table>` : ''}
${proof ? html`<p class="${proof.newAccepted ? 'good' : 'bad'}">Tried for real at ${proof.at}: the old credential was ${proof.oldRefused ? 'refused' : 'not there'}, the new one ${proof.newAccepted ? 'accepted' : 'refused'}.</p>` : ''}
${related.length > 0 ? html`<p>Shares consumers, store path or account with: ${related.join(', ')}.</p>` : ''}`;
}

const STATES: Readonly<Record<string, string>> = {
  'no-match': 'No credential of ours was in it',
  unread: 'Its source never said what was found',
};
function stepRow({ kind, state, at, error, approval }: StepView) {
  const by = approval?.by.map((each) => `${each.person} at ${time(each.at)}`).join(', ');
  return html`<tr><td>${kind}</td><td>${state}</td><td>${at ? time(at) : ''}</td><td>${by || error || ''}</td></tr>`;
}

const WORDS: Readonly<Record<string, string>> = {
  reported: 'reported',
  contained: 'refused by the provider',
  reissued: 'a new one accepted',
  delivered: 'delivered',
  rolledOut: 'consumers moved',
  revoked: 'revoked for good',
  proven: 'proven',
};

function time(at: Date | string): string {
  return new Date(at).toISOString();
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function matchedText(matched: unknown): string {
  if (!Array.isArray(matched) || matched.length === 0) return 'nothing of ours';
  return matched.map(({ policy, matchedBy }) => `${text(policy)} by ${text(matchedBy)}`).join('; ');
}
