import { RotorError } from '../../core/errors.ts';
import type { Server } from './connection.ts';
import { postgresError } from './errors.ts';
import { quoted } from './fence.ts';

/** What the catalogue says of a role, and of the admin's power over it. */
export interface RoleFacts {
  readonly name: string;
  readonly superuser: boolean;
  readonly login: boolean;
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

/** One look at the catalogue for everything that plan, install and revoke decide by. */
export async function readFacts(server: Server, names: readonly string[], owner: string): Promise<Facts> {
  try {
    const { rows } = await server.client.query(
      `SELECT a.rolname AS admin, a.rolsuper AS superuser, a.rolcreaterole AS create_role,
              a.rolsuper OR pg_has_role('pg_signal_backend', 'USAGE') AS can_signal,
              (SELECT coalesce(json_agg(json_build_object(
                 'name', r.rolname, 'superuser', r.rolsuper, 'login', r.rolcanlogin,
                 'adminOption', pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION'),
                 'belongsToOwner', o.oid IS NOT NULL AND pg_has_role(r.oid, o.oid, 'MEMBER'),
                 'actsAsOwner', coalesce(('role=' || $2::text) = ANY (s.setconfig) OR ('role=' || quote_ident($2::text)) = ANY (s.setconfig), false))), '[]')
                 FROM pg_catalog.pg_roles r
                 LEFT JOIN pg_catalog.pg_roles o ON o.rolname = $2
                 LEFT JOIN pg_catalog.pg_db_role_setting s ON s.setrole = r.oid AND s.setdatabase = 0
                WHERE r.rolname = ANY ($1)) AS roles
         FROM pg_catalog.pg_roles a WHERE a.rolname = current_user`,
      [names, owner],
    );
    const row = rows[0];
    return {
      admin: row.admin,
      superuser: row.superuser,
      createRole: row.create_role,
      canSignal: row.can_signal,
      needsAdminOption: server.version >= 160_000,
      roles: new Map(row.roles.map((role: RoleFacts) => [role.name, role])),
    };
  } catch (error) {
    throw postgresError(error, 'reading', 'reading roles from the catalogue');
  }
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
