import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { timed } from './empty-saga.ts';

const STEPS = ['one', 'two', 'three', 'four', 'five', 'six'];

/** What somebody would write by hand: one journal row and one commit per step, nothing else. @returns milliseconds */
export async function runHandWritten(url: string, count: number, concurrency: number): Promise<number> {
  const pool = new pg.Pool({ connectionString: url, max: Math.max(10, concurrency) });
  try {
    await pool.query(`CREATE TABLE IF NOT EXISTS hand_sagas (id uuid PRIMARY KEY, state text NOT NULL);
      CREATE TABLE IF NOT EXISTS hand_journal (saga uuid, step text, at timestamptz DEFAULT clock_timestamp(), PRIMARY KEY (saga, step))`);
    return await timed(count, concurrency, async () => {
      const id = randomUUID();
      await pool.query(`INSERT INTO hand_sagas VALUES ($1, 'running')`, [id]);
      for (const step of STEPS) {
        await pool.query('INSERT INTO hand_journal (saga, step) VALUES ($1, $2)', [id, step]);
      }
      await pool.query(`UPDATE hand_sagas SET state = 'done' WHERE id = $1`, [id]);
    });
  } finally {
    await pool.end();
  }
}
