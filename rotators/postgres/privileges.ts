import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { ask, type Server } from './connection.ts';
import { quoted } from './fence.ts';

/** What the catalogue says of a role, and of the admin's power over it. */
export interface RoleFacts {
  readonly name: string;
  readonly superuser: boolean;
  readonly login: boolean;
  /** Its `VALID UNTIL` has passed: no password logs in. */
  readonly expired: boolean;
  /** The admin was granted this role WITH ADMIN OPTION, directly or through others. */
  readonly adminOption: boolean;
  readonly belongsToOwner: boolean;
  readonly actsAsOwner: boolean;
}

export interface Facts {
  readonly admin: string;
  readonly superuser: boolean;
  readonly createRole: boolean;
  readonly canSignal: boolean;
  /** PostgreSQL 16 and later: CREATEROLE alone no longer suffices, ADMIN OPTION on the very role is needed. */
  readonly needsAdminOption: boolean;
  readonly roles: ReadonlyMap<string, RoleFacts>;
}

interface FactsRow {
  readonly admin: string;
  readonly superuser: boolean;
  readonly createRole: boolean;
  readonly canSignal: boolean;
  readonly roles: readonly RoleFacts[];
}

/** One look at the catalogue for everything that plan, install and revoke decide by. */
export async function readFacts(
  server: Server,
  call: Call,
  names: readonly string[],
  owner: string,
): Promise<Facts> {
  const needsAdminOption = server.version >= 160_000;
  // From 16 on a membership may come without the right to act as the role, which is what we need of it.
  const acts = needsAdminOption ? 'SET' : 'MEMBER';
  const [row] = await ask<FactsRow>(
    server,
    call,
    'reading roles from the catalogue',
    `SELECT a.rolname AS admin, a.rolsuper AS superuser, a.rolcreaterole AS "createRole",
            a.rolsuper OR pg_has_role('pg_signal_backend', 'USAGE') AS "canSignal",
            (SELECT coalesce(json_agg(json_build_object(
               'name', r.rolname, 'superuser', r.rolsuper, 'login', r.rolcanlogin,
               'expired', coalesce(r.rolvaliduntil <= clock_timestamp(), false),
               'adminOption', pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION'),
               'belongsToOwner', o.oid IS NOT NULL AND pg_has_role(r.oid, o.oid, '${acts}'),
               'actsAsOwner', coalesce(('role=' || $2::text) = ANY (s.setconfig) OR ('role=' || quote_ident($2::text)) = ANY (s.setconfig), false))), '[]')
               FROM pg_catalog.pg_roles r
               LEFT JOIN pg_catalog.pg_roles o ON o.rolname = $2
               LEFT JOIN pg_catalog.pg_db_role_setting s ON s.setrole = r.oid AND s.setdatabase = 0
              WHERE r.rolname = ANY ($1)) AS roles
       FROM pg_catalog.pg_roles a WHERE a.rolname = current_user`,
    [names, owner],
  );
  if (!row) throw new RotorError('internal.bug', { what: 'the catalogue does not show who we are' });
  return { ...row, needsAdminOption, roles: new Map(row.roles.map((role) => [role.name, role])) };
}

/**
 * Whether the admin may change `role`, make it, or grant it.
 * @throws RotorError `provider.permission-denied`, with the statement that helps as its hint
 */
export function assertMayAlter(facts: Facts, role: string): void {
  if (facts.superuser) return;
  if (!facts.createRole) {
    throw new RotorError('provider.permission-denied', {
      what: `the admin role ${facts.admin} may not change ${role}: it lacks CREATEROLE`,
      hint: `Run as a superuser: ALTER ROLE ${quoted(facts.admin)} CREATEROLE;`,
    });
  }
  const known = facts.roles.get(role);
  if (known?.superuser) {
    throw new RotorError('provider.permission-denied', {
      what: `${role} is a superuser; only a superuser may change it, and no application should be one`,
      hint: `Run as a superuser: ALTER ROLE ${quoted(role)} NOSUPERUSER;`,
    });
  }
  if (!known || !facts.needsAdminOption || known.adminOption) return;
  throw new RotorError('provider.permission-denied', {
    what: `the admin role ${facts.admin} may not change ${role}: it lacks ADMIN OPTION on it`,
    hint: `Run as a superuser: GRANT ${quoted(role)} TO ${quoted(facts.admin)} WITH ADMIN OPTION;`,
  });
}

/**
 * Whether consumers may log in as these roles once they have a password.
 * @throws RotorError `provider.unsupported`, with the statement that helps as its hint
 */
export function assertUsable(facts: Facts, roles: readonly string[]): void {
  for (const name of roles) {
    const role = facts.roles.get(name);
    if (role?.superuser) {
      throw new RotorError('provider.unsupported', {
        what: `${name} is a superuser`,
        hint: `No application should log in as one. Run: ALTER ROLE ${quoted(name)} NOSUPERUSER;`,
      });
    }
    if (role?.expired) {
      throw new RotorError('provider.unsupported', {
        what: `${name} can't log in with any password: its VALID UNTIL has passed`,
        hint: `Run: ALTER ROLE ${quoted(name)} VALID UNTIL 'infinity';`,
      });
    }
  }
}
