import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import { Admin, type AdminSpec } from './admin.ts';
import { changeRole, createRole, literal, quoted } from './fence.ts';
import { loginOf } from './login.ts';
import { assertMayAlter, readFacts } from './privileges.ts';
import { scramVerifier } from './scram.ts';
import type { Target } from './target.ts';

/**
 * Gives `pending.identity` its new password, as the admin. A role that isn't there is made a member of `model`, and acts
 * as it, so that what it creates doesn't become its own. One that is there keeps its settings: a clone that AWS's own
 * function made may own objects, which it could no longer use if it acted as somebody else.
 * @throws RotorError `provider.permission-denied` with the statement that helps, or what changeRole throws
 */
export async function setCloneUser(
  target: Target,
  call: Call,
  admin: NonNullable<AdminSpec>,
  pending: Credential,
  model: string,
): Promise<void> {
  const role = pending.identity;
  const connection = new Admin(target, admin, [role, model]);
  try {
    const server = await connection.server(call);
    const facts = await readFacts(server, call, [role, model], model);
    const isThere = facts.roles.has(role);
    for (const altered of isThere ? [role] : [role, model]) assertMayAlter(facts, altered);
    const verifier = await scramVerifier(loginOf(pending).password, call.random);
    const statements = [
      ...(isThere
        ? []
        : [
            createRole(role),
            `GRANT ${quoted(model)} TO ${quoted(role)}`,
            `ALTER ROLE ${quoted(role)} SET role = ${literal(model)}`,
          ]),
      `ALTER ROLE ${quoted(role)} LOGIN PASSWORD ${literal(verifier)}`,
    ];
    // The comment is the user's: there is no ledger here whose workers it would have to tell apart.
    await changeRole(server, call, { role, statements, mayComment: false });
  } finally {
    await connection.close();
  }
}
