// Loaded into the process of a test file before the file itself: waits for its turn, which it has until it ends. Whose
// turn it is says the test runner (server/src/launch/test.ts).
import { once } from "node:events"
import { connect } from "node:net"

const { KUMOI_TEST_TURNS_PORT: port, NODE_TEST_CONTEXT: context } = process.env
// The process that only starts those of the files needs none.
if (port && context) {
  const turn = connect(Number(port), "127.0.0.1")
  await once(turn, "data")
  turn.unref()
}
