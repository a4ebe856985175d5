import { type DraftManifest, type Imported, isStorePath } from '../draft.ts';
import type { KnownFields } from './document.ts';
import { type RotationRules, scheduleOf } from './schedule.ts';

/** A secret as ListSecrets tells of it. */
export interface ListedSecret {
  readonly name: string;
  readonly rules: RotationRules | undefined;
  readonly functionArn: string | undefined;
  readonly owningService: string | undefined;
  readonly primaryRegion: string | undefined;
  /** What its JSON says; `unread` without the permission of the person, `not-json` when it is none. */
  readonly fields: KnownFields | 'unread' | 'not-json';
}

export interface AwsPlace {
  readonly region: string | undefined;
  /** Name of the Store manifest. */
  readonly store: string;
  /** Kinds of credentials that this version knows. */
  readonly kinds: readonly string[];
  readonly nameFor: (text: string) => string;
}

/** The policy, and the provider where it is known, for a secret that AWS rotates. Pure. */
export function mapSecret(secret: ListedSecret, place: AwsPlace): Imported {
  const found = `secret ${secret.name}`;
  const unmapped = whyNot(secret, place);
  if (unmapped) return { found, manifests: [], unmapped };
  const name = place.nameFor(secret.name);
  const { schedule, open } = scheduleOf(secret.rules);
  const { provider, credential, ...about } = credentialOf(secret, place, name);
  const policy: DraftManifest = {
    kind: 'RotationPolicy',
    name,
    notes: [
      `From the secret ${secret.name} of AWS Secrets Manager${secret.functionArn ? `, rotated by ${secret.functionArn}` : ''}.`,
      'Look at `rotor plan`, end the rotation by AWS (aws secretsmanager cancel-rotate-secret), then remove `suspend`.',
      ...about.notes,
    ],
    open: [...about.open, ...open],
    spec: {
      ...(provider ? { provider: provider.name } : {}),
      ...(credential ? { credential } : {}),
      store: { name: place.store, path: secret.name },
      ...(schedule ? { schedule } : {}),
      suspend: true,
    },
  };
  return { found, manifests: provider ? [provider, policy] : [policy] };
}

function whyNot(
  { name, owningService, primaryRegion }: ListedSecret,
  { region }: AwsPlace,
): string | undefined {
  if (owningService) return `${owningService} manages and rotates it: nothing else may`;
  if (primaryRegion && region && primaryRegion !== region)
    return `it is a replica: import it in its primary region, ${primaryRegion}`;
  if (!isStorePath(name))
    return 'its name has characters that no store path has (letters, digits, "_.-" and "/" are): keep it under another name';
  return undefined;
}

interface Mapped {
  readonly provider?: DraftManifest;
  readonly credential?: object;
  readonly notes: readonly string[];
  readonly open: readonly string[];
}

function credentialOf({ fields, functionArn }: ListedSecret, { kinds }: AwsPlace, name: string): Mapped {
  const drives = functionArn ? ` (or keep its function: ${functionArn})` : '';
  const undecided = (why: string): Mapped => ({ notes: [], open: [`spec.credential: ${why}${drives}`] });
  if (fields === 'unread')
    return undecided('engine and host are in the secret, which was not read; --read-values reads it');
  if (fields === 'not-json')
    return undecided('the secret is no JSON: `random: {}` if nobody but its readers checks it');
  const { engine, host, port, dbname, username, masterarn } = fields;
  if (engine === undefined) return undecided('its JSON names no engine');
  if (engine !== 'postgres' || !kinds.includes('postgres'))
    return undecided(`this version imports no credential of ${engine.replaceAll(/[^\w.-]/g, '')} from AWS`);
  if (!host || !username) return undecided('its JSON lacks host or username');
  const admin = masterarn
    ? [
        `spec.postgres.admin: username and passwordFrom of an admin; AWS's function takes those in ${masterarn}`,
      ]
    : [];
  const database = dbname ?? 'postgres';
  const provider: DraftManifest = {
    kind: 'Provider',
    name,
    spec: { postgres: { hosts: [{ host, port: port ?? 5_432 }], database } },
    open: admin,
  };
  if (!masterarn)
    return {
      provider,
      credential: { postgres: { mode: 'single-user', role: username, acknowledgeNoOverlap: true } },
      notes: ['One user, as with the function of AWS: new logins with the old password are refused at once.'],
      open: [],
    };
  const base = username.replace(/_clone$/, '');
  return {
    provider,
    credential: { postgres: { mode: 'alternating-users', roles: [base, `${base}_clone`] } },
    notes: [],
    open: [
      'spec.credential.postgres.owner: the role without login that both users belong to (docs/postgres.md)',
    ],
  };
}
