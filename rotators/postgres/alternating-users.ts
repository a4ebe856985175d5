import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { generatePassword } from '../../core/password.ts';
import type { Capabilities, PlanReport, RotatorSession } from '../rotator.ts';
import { Admin, assertSamePlace, attemptLogin, fieldsOf, loginOf } from './admin.ts';
import { targetOf } from './connection.ts';
import { changeRole, literal, quoted } from './fence.ts';
import { assertMayAlter, type Facts, readFacts } from './privileges.ts';
import { scramVerifier } from './scram.ts';
import { endSessions, sessionsOf } from './sessions.ts';
import type { AlternatingSpec, ProviderSpec } from './spec.ts';

const FORMAT = { identity: 'username', secrets: ['password'] } as const;
const CAPABILITIES: Capabilities = {
  overlap: 'two-identities',
  issuedBy: 'rotor',
  seesUsage: true,
  fence: 'provider',
};

/**
 * Two login roles take turns, both members of one owner role and acting as it (`ALTER ROLE x SET role = owner`), so that
 * objects and default privileges never depend on which of the two made them.
 */
export function alternatingUsers(provider: ProviderSpec, spec: AlternatingSpec): RotatorSession {
  const target = targetOf(provider);
  const admin = new Admin(target, provider.admin);
  const { roles, owner } = spec;
  const otherThan = (current: Credential | undefined) =>
    current?.identity === roles[0] ? roles[1] : roles[0];
  const facts = async (call: Call) => readFacts(await admin.server(call), [...roles, owner], owner);

  return {
    capabilities: CAPABILITIES,
    format: FORMAT,

    async plan(call, current): Promise<PlanReport> {
      const server = await admin.server(call);
      if (current) {
        assertSamePlace(target, current, roles);
        if ((await attemptLogin(target, call, current)) === 'refused') {
          throw new RotorError('provider.refused-credential', {
            what: `the current credential of ${current.identity} does not log in`,
          });
        }
      }
      const known = await facts(call);
      const next = otherThan(current);
      for (const role of [next, ...(current ? [current.identity] : [])]) assertMayAlter(known, role);
      if (needsGrant(known, next)) assertMayAlter(known, owner);
      assertNoSuperuser(known, [next, owner]);
      const used = await sessionsOf(server, next);
      if (used.sessions !== 0) {
        throw new RotorError('provider.slot-occupied', {
          what: `${next} should be idle, but has ${used.sessions} open sessions: ${used.clients.join('; ')}`,
        });
      }
      return {
        actions: actionsFor(known, next, owner, current),
        warnings: warningsFor(known, owner, current),
      };
    },

    async generate(call, versionId, current): Promise<Credential> {
      const username = otherThan(current);
      const password = generatePassword(spec.password, call.random);
      return { versionId, identity: username, fields: fieldsOf(target, username), secrets: { password } };
    },

    async install(call, pending, current): Promise<void> {
      const role = pending.identity;
      assertOther(role, current);
      const server = await admin.server(call);
      const known = await facts(call);
      const verifier = await scramVerifier(loginOf(pending).password, call.random);
      const statements = [
        ...(known.roles.has(owner) ? [] : [`CREATE ROLE ${quoted(owner)} NOLOGIN`]),
        ...(known.roles.has(role) ? [] : [`CREATE ROLE ${quoted(role)} NOLOGIN`]),
        ...(needsGrant(known, role) ? [`GRANT ${quoted(owner)} TO ${quoted(role)}`] : []),
        ...(known.roles.get(role)?.actsAsOwner
          ? []
          : [`ALTER ROLE ${quoted(role)} SET role = ${literal(owner)}`]),
        `ALTER ROLE ${quoted(role)} LOGIN PASSWORD ${literal(verifier)}`,
      ];
      await changeRole(server, call, { role, statements, mayComment: true });
    },

    attempt: (call, credential) => attemptLogin(target, call, credential),

    async uninstall(call, pending, current): Promise<void> {
      assertOther(pending.identity, current);
      await lock(await admin.server(call), call, pending.identity, await facts(call));
    },

    usage: async (call, credential) => sessionsOf(await admin.server(call), credential.identity),

    async revoke(call, old, current): Promise<void> {
      assertOther(old.identity, current);
      await lock(await admin.server(call), call, old.identity, await facts(call));
    },

    close: () => admin.close(),
  };
}

/** The role can't log in any more, and nobody is logged in as it. */
async function lock(
  server: Awaited<ReturnType<Admin['server']>>,
  call: Call,
  role: string,
  facts: Facts,
): Promise<void> {
  if (!facts.roles.has(role)) return;
  await changeRole(server, call, {
    role,
    statements: [`ALTER ROLE ${quoted(role)} NOLOGIN PASSWORD NULL`],
    mayComment: true,
  });
  await endSessions(server, call, role);
}

function needsGrant(facts: Facts, role: string): boolean {
  return !facts.roles.get(role)?.belongsToOwner;
}

/** The last barrier before a role is locked or changed: never the one that consumers depend on. */
function assertOther(role: string, current: Credential | undefined): void {
  if (current?.identity !== role) return;
  throw new RotorError('internal.bug', {
    what: `${role} is in use as the current credential and must not be touched`,
  });
}

function assertNoSuperuser(facts: Facts, roles: readonly string[]): void {
  const found = roles.find((role) => facts.roles.get(role)?.superuser);
  if (!found) return;
  throw new RotorError('provider.unsupported', {
    what: `${found} is a superuser`,
    hint: `No application should log in as one. Run: ALTER ROLE ${quoted(found)} NOSUPERUSER;`,
  });
}

function actionsFor(facts: Facts, next: string, owner: string, current: Credential | undefined): string[] {
  return [
    ...(facts.roles.has(owner) ? [] : [`create the owner role ${owner}`]),
    ...(facts.roles.has(next) ? [] : [`create the login role ${next}`]),
    ...(needsGrant(facts, next) ? [`make ${next} a member of ${owner}`] : []),
    `give ${next} a new password and let it log in`,
    ...(current ? [`lock ${current.identity} and end its sessions once nobody uses it`] : []),
  ];
}

function warningsFor(facts: Facts, owner: string, current: Credential | undefined): string[] {
  const role = current && facts.roles.get(current.identity);
  return [
    ...(facts.superuser || facts.canSignal
      ? []
      : [
          `the admin role ${facts.admin} may not end sessions: GRANT pg_signal_backend TO ${quoted(facts.admin)};`,
        ]),
    ...(role && !role.actsAsOwner
      ? [
          `what ${role.name} creates belongs to itself, not to ${owner}: ALTER ROLE ${quoted(role.name)} SET role = ${literal(owner)};`,
        ]
      : []),
  ];
}
