import { type JsonObject, objectAt, textAt, textsAt } from './json.ts';
import { allowedBy, reviewedAttributes } from './rbac.ts';
import type { Sent } from './resource-requests.ts';
import { groupVersionOf, type ResourceType } from './resources.ts';
import type { User } from './users.ts';
import type { World } from './world.ts';

/** Answers a TokenReview, SubjectAccessReview or SelfSubjectAccessReview. @throws ApiError */
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
  const { name, uid, groups } = user;
  return {
    authenticated: true,
    user: { username: name, uid, groups: [...groups] },
    audiences: ['https://kubernetes.default.svc'],
  };
}
