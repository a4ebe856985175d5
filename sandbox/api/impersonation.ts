import type { IncomingHttpHeaders } from 'node:http';
import { authorize } from './rbac.ts';
import type { User } from './users.ts';
import type { World } from './world.ts';

/** Whom a request acts as: its sender, or with `Impersonate-User` (kubectl's `--as`) someone else. @throws ApiError 403 */
export function impersonated(world: World, sender: User, headers: IncomingHttpHeaders): User {
  const name = headers['impersonate-user'];
  if (typeof name !== 'string') return sender;
  const wanted = { user: sender, verb: 'impersonate', group: '', subresource: '', namespace: '', path: '' };
  authorize(world, { ...wanted, resource: 'users', name });
  const sent = headers['impersonate-group'];
  const groups = (typeof sent === 'string' ? sent.split(', ') : (sent ?? [])).filter((group) => group !== '');
  for (const group of groups) authorize(world, { ...wanted, resource: 'groups', name: group });
  return { name, uid: '', groups: [...groups, 'system:authenticated'] };
}
