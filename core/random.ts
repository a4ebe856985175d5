import { randomInt, randomUUID } from 'node:crypto';

/** Source of unbiased whole numbers. Production uses node:crypto; simulations use a seeded one. */
export interface Random {
  /** A whole number in [0, below), each equally likely. */
  int(below: number): number;
  uuid(): string;
}

export const cryptoRandom: Random = {
  int: (below) => randomInt(below),
  uuid: () => randomUUID(),
};
