import { type JsonObject, objectAt, textAt, textsAt } from './json.ts';
import { allowedBy, reviewedAttributes, rulesFor } from './rbac.ts';
import type { Sent } from './resource-requests.ts';
import { groupVersionOf, type ResourceType } from './resources.ts';
import type { User } from './users.ts';
import type { World } from './world.ts';

/** Answers reviews of tokens, of who one is, and of what somebody may do. @throws ApiError */
export function review(world: World, type: ResourceType, sent: Sent): JsonObject {
  const body = sent.object();
  const spec = objectAt(body, 'spec');
  const answer = (status: JsonObject) => ({
    kind: type.kind,
    apiVersion: groupVersionOf(type),
    metadata: objectAt(body, 'metadata'),
    spec,
    status,
  });
  if (type.kind === 'TokenReview') return answer(tokenStatus(world, textAt(spec, 'token') ?? ''));
  if (type.kind === 'SelfSubjectReview') return answer({ userInfo: userInfo(sent.user) });
  if (type.kind === 'SelfSubjectRulesReview')
    return answer({ ...rulesFor(world, sent.user, textAt(spec, 'namespace') ?? ''), incomplete: false });
  const user = type.kind === 'SelfSubjectAccessReview' ? sent.user : subjectOf(spec);
  const why = allowedBy(world, reviewedAttributes(user, spec));
  return answer({ allowed: why !== undefined, ...(why ? { reason: why } : {}) });
}

function subjectOf(spec: JsonObject): User {
  return {
    name: textAt(spec, 'user') ?? '',
    uid: textAt(spec, 'uid') ?? '',
    groups: textsAt(spec, 'groups'),
  };
}

function tokenStatus(world: World, token: string): JsonObject {
  const user = world.users.ofToken(token);
  if (!user) return { user: {}, error: 'invalid bearer token' };
  return {
    authenticated: true,
    user: userInfo(user),
    audiences: ['https://kubernetes.default.svc'],
  };
}

function userInfo({ name, uid, groups }: User): JsonObject {
  return { username: name, uid, groups: [...groups] };
}
