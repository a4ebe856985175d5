import { RotorError } from '../../core/errors.ts';
import { unexpectedAnswer, withoutConnection } from '../connection-errors.ts';

/** What was asked of Key Vault, for messages and to name the permission that is missing. */
export interface Asked {
  /** As access policies name it. */
  readonly permission: 'get' | 'set' | 'list' | 'delete';
  /** Name of the secret. */
  readonly name: string;
}

/** The action that a role must allow, for each permission of an access policy (Microsoft's guide to RBAC for Key Vault). */
const ACTION: Readonly<Record<Asked['permission'], string>> = {
  get: 'Microsoft.KeyVault/vaults/secrets/getSecret/action',
  set: 'Microsoft.KeyVault/vaults/secrets/setSecret/action',
  list: 'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
  delete: 'Microsoft.KeyVault/vaults/secrets/delete',
};

/** What the SDK keeps of an answer: `RestError` of @azure/core-rest-pipeline. */
interface Answered {
  readonly statusCode?: number;
  readonly code?: string;
  readonly message?: string;
  readonly response?: {
    readonly headers?: { get(name: string): string | undefined };
    readonly bodyAsText?: string | null;
  };
  readonly details?: unknown;
}

/** Status of Key Vault's answer; undefined when there was none. */
export function statusOf(error: unknown): number | undefined {
  const { statusCode } = (error ?? {}) as Answered;
  return typeof statusCode === 'number' ? statusCode : undefined;
}

/** The inner code (`SecretDisabled`, `ForbiddenByRbac`), which says more than the status, or else the outer one. */
export function codeOf(error: unknown): string {
  const { details, code } = (error ?? {}) as Answered;
  const { error: outer } = (details ?? {}) as { error?: Inner };
  const inner = outer?.innerError ?? outer?.innererror;
  return word(inner?.code) ?? word(outer?.code) ?? word(code) ?? 'no code';
}

interface Inner {
  readonly code?: string;
  readonly message?: string;
  readonly innerError?: Inner;
  readonly innererror?: Inner;
}

/** What went wrong, in the family. Key Vault's own text goes no further: it may quote what it was given. */
export function keyVaultError(error: unknown, asked: Asked): RotorError {
  if (error instanceof RotorError) return error;
  const status = statusOf(error);
  const doing = `secret ${asked.name}: secrets/${asked.permission}`;
  const identity = identityError(error, doing);
  if (identity) return identity;
  return status === undefined ? withoutConnection(error, doing) : answered(error as Answered, status, asked);
}

function answered(error: Answered, status: number, asked: Asked): RotorError {
  const code = codeOf(error);
  const request = word(error.response?.headers?.get('x-ms-request-id'));
  const said = `secret ${asked.name}: Key Vault answered ${status} ${code} to secrets/${asked.permission}${request ? ` (request ${request})` : ''}`;
  if (status === 429) {
    const seconds = Number(error.response?.headers?.get('retry-after'));
    return new RotorError('store.throttled', {
      what: said,
      ...(seconds > 0 ? { retryAfterMs: seconds * 1_000 } : {}),
    });
  }
  if (status === 401) return new RotorError('store.refused', { what: said });
  if (status === 403) return denied(error, code, said, asked);
  if (status === 404) return new RotorError('store.not-found', { what: said });
  if (status === 409) return occupied(code, said, asked.name);
  return unexpectedAnswer(said, status >= 500, "Look the request up in the vault's audit log.");
}

function denied(error: Answered, code: string, said: string, { permission, name }: Asked): RotorError {
  if (code === 'SecretDisabled') {
    return new RotorError('store.conflict', {
      what: `secret ${name}: its newest version is disabled, so nobody can read it`,
      hint: 'Enable that version, or set a new one with the credential that is in use.',
    });
  }
  if (code === 'ForbiddenByFirewall' || code === 'ForbiddenByConnection') {
    return new RotorError('store.permission-denied', {
      what: `${said}: the vault's firewall does not let the workers in`,
      hint: "Add the workers' address or virtual network to the vault's network rules, or give them a private endpoint.",
    });
  }
  const policy = code === 'AccessDenied';
  const action =
    /Action: '(Microsoft\.KeyVault\/[\w/]+)'/.exec(error.message ?? '')?.[1] ?? ACTION[permission];
  const missing = policy ? `the permission secrets/${permission} in the vault's access policy` : action;
  return new RotorError('store.permission-denied', {
    what: `${said}: the workers lack ${missing}`,
    hint: policy
      ? `Add secrets/${permission} for the workers' identity; docs/azure.md lists what Rotor needs.`
      : "Assign the role Key Vault Secrets Officer to the workers' identity; docs/azure.md has a narrower one. A new assignment takes some minutes.",
  });
}

/** 409: the name is taken by a deleted secret, or the secret is on its way there or back. */
function occupied(code: string, said: string, name: string): RotorError {
  if (code === 'ObjectIsDeletedButRecoverable') {
    return new RotorError('store.conflict', {
      what: `${said}: a secret of this name was deleted and can still be recovered`,
      hint: `Recover it (\`az keyvault secret recover --name ${name}\`), or purge it if nobody needs it any more.`,
    });
  }
  return new RotorError('store.conflict', { what: said, kind: 'retryable' });
}

function identityError(error: unknown, doing: string): RotorError | undefined {
  const name = error instanceof Error ? error.name : '';
  if (name === 'CredentialUnavailableError' || name === 'AggregateAuthenticationError') {
    return new RotorError('store.refused', {
      what: `${doing}: the workers have no identity of Azure`,
      hint: 'Give the workers a workload identity, a managed identity, or the AZURE_* variables of a service principal.',
      // The service that hands tokens out may be away for a moment.
      kind: 'retryable',
    });
  }
  if (name === 'AuthenticationError' || name === 'AuthenticationRequiredError') {
    return new RotorError('store.refused', {
      what: `${doing}: Microsoft Entra ID gives no token to the workers' identity`,
      hint: 'Check tenant, client id and federated credential of the identity.',
    });
  }
  if (error instanceof Error && /^The challenge /.test(error.message)) {
    return new RotorError('store.refused', {
      what: `${doing}: what answers at \`vaultUrl\` asks for a token that is not meant for it, so it gets none`,
      hint: 'Name the vault by its own address (https://<name>.vault.azure.net), also for a private endpoint.',
    });
  }
  return undefined;
}

/** Codes and request ids, and nothing that could be a quotation. */
function word(text: string | undefined): string | undefined {
  return text !== undefined && /^[\w-]{1,64}$/.test(text) ? text : undefined;
}
