import { randomBytes } from 'node:crypto';

export interface User {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
}

/** Users by bearer token. Members of `system:masters` may do everything, as on a real server. */
export class Users {
  readonly #byToken = new Map<string, User>();

  /** Makes a user, or a further token of one, and returns the token. @param token one that was made elsewhere */
  add(
    name: string,
    groups: readonly string[] = [],
    token: string = randomBytes(24).toString('base64url'),
  ): string {
    const uid = `uid-of-${name}`;
    this.#byToken.set(token, { name, uid, groups: [...groups, 'system:authenticated'] });
    return token;
  }

  /** Nobody is let in by this token any more. */
  expire(token: string): void {
    this.#byToken.delete(token);
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
