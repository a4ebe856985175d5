import { randomBytes } from 'node:crypto';

export interface User {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
}

/** Users by bearer token. Members of `system:masters` may do everything, as on a real server. */
export class Users {
  readonly #byToken = new Map<string, User>();

  /** Makes a user, or a further token of one, and returns the token. */
  add(name: string, groups: readonly string[] = []): string {
    const token = randomBytes(24).toString('base64url');
    const uid = `uid-of-${name}`;
    this.#byToken.set(token, { name, uid, groups: [...groups, 'system:authenticated'] });
    return token;
  }

  /** The user of an Authorization header; undefined when there is none. */
  authenticate(authorization: string | undefined): User | undefined {
    const token = /^bearer\s+(\S+)\s*$/i.exec(authorization ?? '')?.[1];
    return token === undefined ? undefined : this.ofToken(token);
  }

  ofToken(token: string): User | undefined {
    return this.#byToken.get(token);
  }
}
