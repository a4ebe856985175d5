import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import { formatDuration } from '../../core/duration.ts';
import { RotorError } from '../../core/errors.ts';
import { Admin } from '../postgres/admin.ts';
import { ask, type Server } from '../postgres/connection.ts';
import { assertSamePlace, FORMAT, fieldsOf } from '../postgres/document.ts';
import { attemptLogin, loginOf } from '../postgres/login.ts';
import { endSessions, sessionsOf } from '../postgres/sessions.ts';
import { targetOf } from '../postgres/target.ts';
import type { RotatorSession } from '../rotator.ts';
import { DatabaseEngine, type Held } from './engine.ts';
import type { CredentialSpec, ProviderSpec } from './spec.ts';

/**
 * A static role of Vault's database engine: Vault makes the password and sets it, Rotor fetches it and does the rest. The
 * one user's password is replaced at once, and Vault takes no old one back, so there is neither overlap nor a way back.
 */
export function staticRole(provider: ProviderSpec, { staticRole: role }: CredentialSpec): RotatorSession {
  const target = targetOf(provider.postgres);
  const engine = new DatabaseEngine(provider);
  const admin = new Admin(target, provider.postgres.admin, []);
  const attempt = async (call: Call, credential: Credential) =>
    attemptLogin(await admin.primary(call), call, credential);
  const credentialOf = (versionId: string, { username }: Held, password: Held['password']): Credential => {
    if (!password) {
      throw new RotorError('provider.unsupported', {
        what: `Vault's static role ${role} has no password, but another type of credential`,
        hint: 'Rotor rotates static roles of the type "password".',
      });
    }
    return { versionId, identity: username, fields: fieldsOf(target, username), secrets: { password } };
  };
  /** Whether what Vault holds is another one than `current`, and logs in: then it has been rotated already. */
  const isNewer = async (call: Call, held: Held, current: Credential | undefined): Promise<boolean> => {
    if (!held.password || (current && held.password.equals(loginOf(current).password))) return false;
    return (await attempt(call, credentialOf('', held, held.password))) === 'accepted';
  };
  /** The admin, or the role itself, which may end its own sessions. */
  const server = async (call: Call): Promise<Server> => {
    if (admin.configured) return admin.server(call);
    const held = await engine.held(call, role);
    const itself = await admin.use(call, async () => loginOf(credentialOf('', held, held.password)));
    // A role that acts as another by default sees and ends its sessions only as itself.
    await ask(itself, call, `acting as ${held.username} itself`, 'SET ROLE NONE');
    return itself;
  };

  return {
    capabilities: {
      overlap: 'none',
      issuedBy: 'provider',
      seesUsage: true,
      fence: 'deadline',
      forwardOnly: true,
    },
    format: FORMAT,

    async plan(call, current, leaked) {
      await engine.assertMay(call, role);
      const held = await engine.held(call, role);
      const warnings = [
        'no overlap: logins with the old password are refused until each consumer has reloaded',
        'no way back: Vault takes no old password, so a rotation that fails goes forward or asks a human',
        `Vault replaces the password by itself in ${formatDuration(held.ttlSeconds * 1_000)}, and consumers would not be told`,
      ];
      const takeOver = `take over the password of ${held.username} that Vault holds`;
      if (!current) return { actions: [held.password ? takeOver : `let Vault rotate ${role}`], warnings };
      assertSamePlace(target, current, [held.username]);
      const dead = !leaked && (await attempt(call, current)) === 'refused';
      const newer = await isNewer(call, held, current);
      if (dead && !newer) {
        throw new RotorError('provider.refused-credential', {
          what: `the current credential of ${held.username} does not log in, nor does another one that Vault holds`,
        });
      }
      if (dead) warnings.push(`Vault has replaced the password since: consumers of ${role} are refused now`);
      return {
        actions: [
          newer ? takeOver : `let Vault rotate ${role}, which replaces the password of ${held.username}`,
          `end the sessions of ${held.username} that were opened before`,
        ],
        warnings,
      };
    },

    /**
     * Vault's call has no key by which it could be repeated: whether it was done shows in the password that it holds. One that
     * isn't `current` any more, by a call whose answer was lost or by Vault's own schedule, is taken as it is.
     */
    async generate(call, versionId, current) {
      const before = await engine.held(call, role);
      if (current) assertSamePlace(target, current, [before.username]);
      if (await isNewer(call, before, current)) return credentialOf(versionId, before, before.password);
      await engine.rotate(call, role);
      const after = await engine.held(call, role);
      if (before.password && after.password?.equals(before.password)) {
        throw new RotorError('provider.connection-lost', {
          what: `Vault says that it rotated ${role}, but holds the password that it held before`,
        });
      }
      return credentialOf(versionId, after, after.password);
    },

    /** Nothing is left to do, unless Vault has replaced it again. */
    async install(call, pending) {
      const held = await engine.held(call, role);
      if (held.password?.equals(loginOf(pending).password)) return;
      throw new RotorError('provider.rejects-generated', {
        what: `Vault has replaced the password of ${held.username} once more since`,
        hint: `Rotate again, and let only Rotor rotate ${role}: give it a long rotation_period in Vault.`,
      });
    },

    attempt,

    async uninstall(call, _pending, current) {
      if (!current || (await attempt(call, current)) === 'accepted') return;
      throw new RotorError('rotation.needs-human', {
        what: `Vault has replaced the password of ${current.identity}, and takes no old one back`,
      });
    },

    async contain(call, leaked, seen) {
      const held = await engine.held(call, role);
      if (held.password?.equals(loginOf(leaked).password) || (await attempt(call, leaked)) === 'accepted') {
        await engine.rotate(call, role);
      }
      await endSessions(await server(call), call, leaked.identity, call.clock.now(), seen);
    },

    usage: async (call, credential, since) =>
      sessionsOf(await server(call), call, credential.identity, since),

    /** Refused since Vault replaced it; what is left of it are its sessions. */
    async revoke(call, old, current, since) {
      if (loginOf(old).password.equals(loginOf(current).password)) {
        throw new RotorError('internal.bug', {
          what: `the password of ${role} that is to be revoked is the one in use`,
        });
      }
      await endSessions(await server(call), call, old.identity, since);
    },

    async close() {
      await admin.close();
      await engine.close();
    },
  };
}
