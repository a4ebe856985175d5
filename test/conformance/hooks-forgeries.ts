import type { HookRequest } from '../../orchestrator/intake/source.ts';
import { type HookScenario, NOW, SECRETS } from './hooks-scenarios.ts';

/** A request of which something is wrong. */
export interface Forgery {
  readonly what: string;
  readonly request: HookRequest;
}

/** Where each source shows its proof: a header, or a field of the body; and what stands before it. */
const PLACES: Readonly<
  Record<string, { readonly header?: string; readonly field?: string; readonly before: string }>
> = {
  githubPartner: { header: 'github-public-key-signature', before: '' },
  githubAlert: { header: 'x-hub-signature-256', before: 'sha256=' },
  gitguardian: { header: 'gitguardian-signature', before: 'sha256=' },
  pagerduty: { header: 'x-pagerduty-signature', before: 'v1=' },
  sns: { field: 'Signature', before: '' },
  falco: { header: 'authorization', before: 'Bearer ' },
  alertmanager: { header: 'authorization', before: 'Bearer ' },
  standardWebhooks: { header: 'webhook-signature', before: 'v1,' },
  cloudEvents: { header: 'authorization', before: 'Bearer ' },
  eventGrid: { header: 'authorization', before: 'Bearer ' },
  pubsub: { header: 'authorization', before: 'Bearer ' },
  kubernetesAudit: { header: 'authorization', before: 'Bearer ' },
  generic: { header: 'x-signature', before: 'sha256=' },
};

/** So many characters of a DER signature in base64 say what form it has; then its first number begins. */
const FORM = 6;

type Place = (typeof PLACES)[string];

/**
 * Requests that are wrong in one thing each: from a proof that only one byte keeps from fitting to none at all, names of keys
 * and topics included.
 */
export async function forgeries(kind: string, scenario: HookScenario): Promise<readonly Forgery[]> {
  const place = PLACES[kind];
  if (!place) throw new Error(`the kit of forgeries doesn't know where ${kind} shows its proof`);
  const request = await scenario.request('leaked', { secret: SECRETS[0], at: NOW });
  const strangers = await scenario.request('leaked', { secret: 'guessed', at: NOW, strangersKey: true });
  const { start, value } = proofIn(request, place);
  const show = (what: string, text: string | undefined): Forgery => ({
    what,
    request: showing(request, place, text === undefined ? undefined : `${start}${text}`),
  });
  // The last character of base64 may hold bits that nobody reads.
  const last = value.replace(/=*$/, '').length - 2;
  const guess = proofIn(strangers, place);
  return [
    show('its first byte', changed(value, kind === 'githubPartner' ? FORM : 0)),
    show('its last byte', changed(value, last)),
    show('every byte', [...value].map((_, at) => changed(value, at)[at]).join('')),
    { what: 'another secret or key', request: showing(strangers, place, `${guess.start}${guess.value}`) },
    show('its second half', value.slice(0, Math.floor(value.length / 8) * 4)),
    show('none', place.field ? '' : undefined),
    ...otherNames(kind, request),
  ];
}

function proofIn(
  { headers, body }: HookRequest,
  place: Place,
): { readonly start: string; readonly value: string } {
  const shown = (place.header ? headers[place.header] : JSON.parse(body.toString())[place.field ?? '']) ?? '';
  const first = shown.slice(place.before.length).split(/[ ,]/)[0] ?? '';
  // Of a token only the signature: the rest is no secret.
  const dot = first.lastIndexOf('.') + 1;
  return { start: `${place.before}${first.slice(0, dot)}`, value: first.slice(dot) };
}

function showing(request: HookRequest, place: Place, text: string | undefined): HookRequest {
  if (place.header) return { ...request, headers: { ...request.headers, [place.header]: text } };
  const body = { ...JSON.parse(request.body.toString()), [place.field ?? '']: text };
  return { ...request, body: Buffer.from(JSON.stringify(body)) };
}

/** Another character, which is one of hexadecimal and of base64 too. */
function changed(value: string, at: number): string {
  return `${value.slice(0, at)}${value[at] === 'a' ? 'b' : 'a'}${value.slice(at + 1)}`;
}

/** Keys and topics that nobody has published or listed. */
function otherNames(kind: string, request: HookRequest): readonly Forgery[] {
  const header = (what: string, name: string, text: string | undefined): Forgery => ({
    what,
    request: { ...request, headers: { ...request.headers, [name]: text } },
  });
  switch (kind) {
    case 'githubPartner':
      return [
        header('what is no signature', 'github-public-key-signature', 'AAAA'),
        header('a key that is not published', 'github-public-key-identifier', 'cd'.repeat(32)),
        header('no key', 'github-public-key-identifier', undefined),
        header('a key that is no name of one', 'github-public-key-identifier', '../meta'),
      ];
    case 'pubsub': {
      const [, claims, signature] = (request.headers.authorization ?? '').split('.');
      const head = Buffer.from('{"alg":"RS256","kid":"two"}').toString('base64url');
      return [
        header('a key that is not published', 'authorization', `Bearer ${head}.${claims}.${signature}`),
      ];
    }
    case 'sns': {
      const message = JSON.parse(request.body.toString());
      const body = Buffer.from(JSON.stringify({ ...message, TopicArn: `${message.TopicArn}-not-listed` }));
      return [{ what: 'a topic that is not listed', request: { ...request, body } }];
    }
    default:
      return [];
  }
}
