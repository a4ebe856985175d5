import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { generatePassword } from '../../core/password.ts';
import type { Capabilities, PlanReport, RotatorSession, SeenUse, Usage } from '../rotator.ts';
import { Admin } from './admin.ts';
import type { AdminPool } from './admin-pool.ts';
import { ask, type Server } from './connection.ts';
import { assertSamePlace, FORMAT, fieldsOf } from './document.ts';
import { changeRole, literal, quoted } from './fence.ts';
import { assertLogsIn, attemptLogin, loginOf } from './login.ts';
import { assertMayAlter, assertUsable, readFacts } from './privileges.ts';
import { scramVerifier } from './scram.ts';
import { endSessions, sessionsOf } from './sessions.ts';
import type { ProviderSpec, SingleSpec } from './spec.ts';
import { targetOf } from './target.ts';
import { replicaWarnings, signalWarnings } from './warnings.ts';

/**
 * One role whose password is replaced in place: no overlap, so new logins with the old password are refused from
 * `install` until each consumer has reloaded. Without an admin in the provider the role changes its own password.
 */
export function singleUser(provider: ProviderSpec, spec: SingleSpec, pool?: AdminPool): RotatorSession {
  const target = targetOf(provider, spec.database);
  const { role } = spec;
  const admin = new Admin(target, provider.admin, [role], pool);
  const attempt = async (call: Call, credential: Credential) =>
    attemptLogin(await admin.primary(call), call, credential);
  const capabilities: Capabilities = {
    overlap: 'none',
    issuedBy: 'rotor',
    seesUsage: true,
    fence: admin.configured ? 'provider' : 'deadline',
    ...(admin.configured ? {} : { needsPending: true as const }),
  };

  /** The admin, or the role itself by whichever of its credentials the server takes. */
  const serverFor = async (call: Call, ...credentials: (Credential | undefined)[]): Promise<Server> => {
    if (admin.configured) return admin.server(call);
    const server = await admin.use(call, async () => {
      for (const credential of credentials) {
        if (credential && (await attempt(call, credential)) === 'accepted') return loginOf(credential);
      }
      throw new RotorError('provider.refused-admin', {
        what: `${role} changes its own password, but none of its known passwords logs in`,
        hint: 'Name an `admin` in the provider, which can set the password without knowing the old one.',
      });
    });
    // A role that acts as another by default (`ALTER ROLE x SET role = owner`) may change its password only as itself.
    await ask(server, call, `acting as ${role} itself`, 'SET ROLE NONE');
    return server;
  };
  const setPassword = async (call: Call, credential: Credential, server: Server): Promise<void> => {
    const verifier = await scramVerifier(loginOf(credential).password, call.random);
    const statements = [`ALTER ROLE ${quoted(role)} PASSWORD ${literal(verifier)}`];
    await changeRole(server, call, { role, statements, mayComment: admin.configured });
  };

  return {
    capabilities,
    format: FORMAT,

    async plan(call, current, leaked): Promise<PlanReport> {
      if (!current && !admin.configured) {
        throw new RotorError('provider.refused-admin', {
          what: `there is neither a current credential of ${role} nor an admin to set one`,
          hint: 'Name an `admin` in the provider, or the credential in use in `initialFrom`.',
        });
      }
      if (current) {
        assertSamePlace(target, current, [role]);
        if (!leaked) await assertLogsIn(await admin.primary(call), call, current);
      }
      const server = await serverFor(call, current);
      const warnings = [
        'no overlap: new logins with the old password are refused until each consumer has reloaded',
        ...replicaWarnings(server),
      ];
      if (admin.configured) {
        const facts = await readFacts(server, call, [role], role);
        if (!facts.roles.has(role)) {
          throw new RotorError('provider.unsupported', {
            what: `there is no role ${role}`,
            hint: `Create it first: CREATE ROLE ${quoted(role)} LOGIN;`,
          });
        }
        assertMayAlter(facts, role);
        assertUsable(facts, [role]);
        warnings.push(...signalWarnings(facts));
      }
      return {
        actions: [`replace the password of ${role}`, `end the sessions of ${role} that were opened before`],
        warnings,
      };
    },

    async generate(call, versionId): Promise<Credential> {
      const password = generatePassword(spec.password, call.random);
      return { versionId, identity: role, fields: fieldsOf(target, role), secrets: { password } };
    },

    async install(call, pending, current): Promise<void> {
      await setPassword(call, pending, await serverFor(call, current, pending));
    },

    attempt,

    async uninstall(call, pending, current): Promise<void> {
      const server = await serverFor(call, pending, current);
      if (current) return setPassword(call, current, server);
      const statements = [`ALTER ROLE ${quoted(role)} PASSWORD NULL`];
      return changeRole(server, call, { role, statements, mayComment: admin.configured });
    },

    /** A password that nobody knows takes its place, unless a new one has already. A role can't do this to itself and go on. */
    ...(admin.configured
      ? {
          contain: async (call: Call, leaked: Credential, seen?: (use: SeenUse) => void) => {
            const server = await admin.server(call);
            if ((await attempt(call, leaked)) === 'accepted') {
              const unknown = generatePassword(spec.password, call.random);
              await setPassword(call, { ...leaked, secrets: { password: unknown } }, server);
            }
            await endSessions(server, call, role, call.clock.now(), seen);
          },
        }
      : {}),

    async usage(call, credential, since): Promise<Usage> {
      return sessionsOf(await serverFor(call, credential), call, role, since);
    },

    /** The old password was replaced at `install` already; what is left of it are its sessions. */
    async revoke(call, old, current, since): Promise<void> {
      if (loginOf(old).password.equals(loginOf(current).password)) {
        throw new RotorError('internal.bug', {
          what: `the password of ${role} that is to be revoked is the one in use`,
        });
      }
      const server = await serverFor(call, current);
      if ((await attempt(call, old)) === 'accepted') await setPassword(call, current, server);
      await endSessions(server, call, role, since);
    },

    close: () => admin.close(),
  };
}
