import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { generatePassword } from '../../core/password.ts';
import type { Capabilities, PlanReport, RotatorSession } from '../rotator.ts';
import { Admin } from './admin.ts';
import type { AdminPool } from './admin-pool.ts';
import type { Server } from './connection.ts';
import { assertSamePlace, FORMAT, fieldsOf } from './document.ts';
import { changeRole, createRole, literal, quoted } from './fence.ts';
import { assertLogsIn, attemptLogin, loginOf } from './login.ts';
import { assertMayAlter, assertUsable, type Facts, readFacts } from './privileges.ts';
import { scramVerifier } from './scram.ts';
import { endSessions, sessionsOf } from './sessions.ts';
import type { AlternatingSpec, ProviderSpec } from './spec.ts';
import { targetOf } from './target.ts';
import { replicaWarnings, signalWarnings } from './warnings.ts';

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
export function alternatingUsers(
  provider: ProviderSpec,
  spec: AlternatingSpec,
  pool?: AdminPool,
): RotatorSession {
  const target = targetOf(provider, spec.database);
  const { roles, owner } = spec;
  const admin = new Admin(target, provider.admin, [...roles, owner], pool);
  const otherThan = (current: Credential | undefined) =>
    current?.identity === roles[0] ? roles[1] : roles[0];
  const facts = async (call: Call) => readFacts(await admin.server(call), call, [...roles, owner], owner);

  return {
    capabilities: CAPABILITIES,
    format: FORMAT,

    async plan(call, current, leaked): Promise<PlanReport> {
      const server = await admin.server(call);
      if (current) {
        assertSamePlace(target, current, roles);
        if (!leaked) await assertLogsIn(await admin.primary(call), call, current);
      }
      const known = await facts(call);
      const next = otherThan(current);
      for (const role of [next, ...(current ? [current.identity] : [])]) assertMayAlter(known, role);
      if (needsGrant(known, next)) assertMayAlter(known, owner);
      assertUsable(known, [...roles, owner]);
      const used = await sessionsOf(server, call, next);
      if (used.sessions !== 0) {
        throw new RotorError('provider.slot-occupied', {
          what: `${next} should be idle, but has ${used.sessions} open sessions: ${used.clients.join('; ')}`,
        });
      }
      return {
        actions: actionsFor(known, next, owner, current),
        warnings: [
          ...warningsFor(known, next, owner, current),
          ...signalWarnings(known),
          ...replicaWarnings(server),
        ],
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
        ...(known.roles.has(owner) ? [] : [createRole(owner)]),
        ...(known.roles.has(role) ? [] : [createRole(role)]),
        ...(needsGrant(known, role) ? [grantOwner(known, role, owner)] : []),
        ...(known.roles.get(role)?.actsAsOwner
          ? []
          : [`ALTER ROLE ${quoted(role)} SET role = ${literal(owner)}`]),
        `ALTER ROLE ${quoted(role)} LOGIN PASSWORD ${literal(verifier)}`,
      ];
      await changeRole(server, call, { role, statements, mayComment: true });
    },

    attempt: async (call, credential) => attemptLogin(await admin.primary(call), call, credential),

    async uninstall(call, pending, current): Promise<void> {
      assertOther(pending.identity, current);
      await lock(await admin.server(call), call, pending.identity, await facts(call));
    },

    usage: async (call, credential) => sessionsOf(await admin.server(call), call, credential.identity),

    /** The password stays, so that LOGIN brings it back. */
    async contain(call, leaked, seen): Promise<void> {
      const role = leaked.identity;
      const server = await admin.server(call);
      const statements = [`ALTER ROLE ${quoted(role)} NOLOGIN`];
      await changeRole(server, call, { role, statements, mayComment: true });
      await endSessions(server, call, role, undefined, seen);
    },

    async revoke(call, old, current): Promise<void> {
      assertOther(old.identity, current);
      await lock(await admin.server(call), call, old.identity, await facts(call));
    },

    close: () => admin.close(),
  };
}

/** The role can't log in any more, and nobody is logged in as it. */
async function lock(server: Server, call: Call, role: string, facts: Facts): Promise<void> {
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

/** From 16 on a membership may come without the right to act as the role; granting again adds it. */
function grantOwner(facts: Facts, role: string, owner: string): string {
  return `GRANT ${quoted(owner)} TO ${quoted(role)}${facts.needsAdminOption ? ' WITH SET TRUE' : ''}`;
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

function warningsFor(facts: Facts, next: string, owner: string, current: Credential | undefined): string[] {
  const role = current && facts.roles.get(current.identity);
  const ownWork =
    role && !role.actsAsOwner
      ? [
          `what ${role.name} creates belongs to itself, not to ${owner}: ALTER ROLE ${quoted(role.name)} SET role = ${literal(owner)};`,
        ]
      : [];
  // Its password might be in somebody's hands who just isn't connected now.
  const idleOpen = facts.roles.get(next)?.login
    ? [`${next} may log in today; whatever password it has stops working`]
    : [];
  return [...ownWork, ...idleOpen];
}
