// What operators see of sagas that are stuck or wait, and do about them: `kumoi saga`.
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { test } from "node:test"
import { sql } from "kysely"
import { answerSaga, type SagaAnswer } from "../src/launch/saga-answer.ts"
import { startTestCloud } from "./cloud.ts"

test("sagas that are stuck or wait are listed and described, and a stuck one is resumed", async () => {
  await using cloud = await startTestCloud()
  const { platform } = cloud.cloud
  const { db } = cloud.database
  const [stuck, waiting, running] = [randomUUID(), randomUUID(), randomUUID()]
  // Of a name that no worker knows, so that they stay as they are.
  await sql`insert into engine.saga (id, name, version, params, state, resource_id, request_id, fence, waits, last_error,
      run_at)
    select id, 'test.nobody', 1, '{}', state, 'thing', 'req-1', 1, waits, error, now() + interval '1 day'
    from (values (${stuck}::uuid, 'stuck', 0, 'jammed'), (${waiting}::uuid, 'running', 3, 'away'),
      (${running}::uuid, 'running', 0, null)) v (id, state, waits, error)`.execute(db)
  await sql`insert into engine.saga_event (saga_id, node, kind, data, fence, at) values
    (${stuck}, 'make', 'do_started', null, 1, now() - interval '1 second'),
    (${stuck}, 'make', 'do_failed', '{"message": "no"}', 1, now())`.execute(db)
  const ask = async (action: string, id?: string) => await answerSaga(platform, { action, id })
  const listed = async () => {
    const { sagas } = (await ask("list")) as Extract<SagaAnswer, { sagas: unknown }>
    return sagas
      .filter(({ name }) => name === "test.nobody")
      .map((saga) => [saga.id, saga.state, saga.lastError])
  }
  assert.deepEqual(await listed(), [
    [stuck, "stuck", "jammed"],
    [waiting, "running", "away"],
  ])
  const { saga } = (await ask("describe", stuck)) as Extract<SagaAnswer, { saga: unknown }>
  assert.deepEqual(
    saga.events.map(({ node, kind, data }) => [node, kind, data]),
    [
      ["make", "do_started", null],
      ["make", "do_failed", { message: "no" }],
    ],
  )
  await assert.rejects(ask("resume", running), {
    kind: "conflict",
    message: /not stuck: it goes on by itself/,
  })
  for (const id of ["x", randomUUID()]) await assert.rejects(ask("describe", id), { kind: "not_found" })
  await assert.rejects(ask("sing"), { kind: "invalid" })
  assert.deepEqual(await ask("resume", stuck), { resumed: stuck })
  assert.deepEqual(await listed(), [[waiting, "running", "away"]])
})
