import { foreignCode, RotorError } from '../core/errors.ts';

const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
const TLS = /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/;

/**
 * An answer that says nothing more than its status. Whether a server that failed has acted is unknown.
 * @param lookAt where the other side tells more
 */
export function unexpectedAnswer(said: string, serverFailed: boolean, lookAt: string): RotorError {
  return new RotorError('store.unavailable', {
    what: said,
    ...(serverFailed
      ? { kind: 'ambiguous', hint: 'Nothing to do: Rotor probes.' }
      : { kind: 'terminal', hint: lookAt }),
  });
}

/** What it means that an SDK got no answer: whether the request was sent decides. */
export function withoutConnection(error: unknown, doing: string): RotorError {
  const name = error instanceof Error ? error.name : typeof error;
  const code = foreignCode(error) ?? name;
  if (name === 'AbortError') return new RotorError('call.timeout', { what: `${doing}: no answer in time` });
  if (NEVER_SENT.has(code))
    return new RotorError('store.unavailable', { what: `${doing}: no connection (${code})` });
  if (TLS.test(code)) {
    return new RotorError('store.unavailable', {
      what: `${doing}: TLS failed (${code})`,
      hint: 'Check the certificate of the endpoint; NODE_EXTRA_CA_CERTS names further authorities.',
      kind: 'terminal',
    });
  }
  return new RotorError('store.unavailable', {
    what: `${doing}: the connection broke before the answer came (${code})`,
    hint: 'Nothing to do: Rotor probes what happened.',
    kind: 'ambiguous',
    cause: error,
  });
}
