// Transfers, at their old path and, from 3.55 on, at the one that also takes snapshots along.
import { Type } from "typebox"
import { from, links, one, page as pageOf, text } from "../../api/openstack/shape.ts"
import { named, type Table, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  acceptTransfer,
  createTransfer,
  deleteTransfer,
  getTransfer,
  listTransfers,
  type Transfer,
  transferNoun,
} from "../index.ts"
import { transferRules as rules } from "./list-rules.ts"
import {
  bodyOf,
  boolean,
  linksOf,
  nameOrNull,
  nextLink,
  readBoolean,
  readList,
  toldList,
  trimmed,
  uuid,
} from "./parts.ts"

const { fields } = transferNoun
const idOf = ({ params }: Pick<WireRequest, "params">) => params.transfer_id ?? ""

interface Path {
  path: "os-volume-transfer" | "volume-transfers"
  min?: string
}

function transferRoutes({ path, min }: Path): Route[] {
  const since = min === undefined ? {} : { min }
  const self: Table<Transfer> = { links: [links, ({ id }, ctx) => linksOf(ctx, `${path}/${id}`)] }
  const title = path === "volume-transfers" ? "VolumeTransfer" : "OldVolumeTransfer"
  const summaryTable = { ...named(fields, ["id", "name", "volumeId"]), ...self }
  const summary = view<Transfer>(`${title}Summary`, summaryTable)
  const detailTable: Table<Transfer> = {
    ...summaryTable,
    ...named(fields, ["createdAt"]),
    ...(min === undefined
      ? {}
      : {
          no_snapshots: [Type.Boolean(), "keepsSnapshots"],
          source_project_id: [from("3.57", text), "projectId"],
          destination_project_id: [from("3.57", Type.Null()), () => null],
          accepted: [from("3.57", Type.Boolean()), () => false],
        }),
  }
  const detail = view<Transfer>(title, detailTable)
  const created = view<Transfer & { key: string }>(`New${title}`, {
    ...(detailTable as Table<Transfer & { key: string }>),
    auth_key: [text, "key"],
  })
  const createBody = bodyOf(
    "transfer",
    { volume_id: uuid, name: nameOrNull, ...(min === undefined ? {} : { no_snapshots: boolean }) },
    ["volume_id"],
  )
  const listOf = (shown: typeof summary) => async (ctx: Ctx, req: WireRequest) => {
    const found = await listTransfers(ctx, readList(ctx, req, rules))
    return {
      transfers: found.items.map((each) => shown.show(ctx, req, each)),
      ...nextLink(ctx, req, "transfers", found),
    }
  }
  const told = (shown: typeof summary) => ({ ...toldList(rules), ...pageOf("transfers", shown.shows) })
  const acceptBody = bodyOf("accept", { auth_key: Type.String({ minLength: 1, maxLength: 255 }) }, [
    "auth_key",
  ])
  const one_ = `/${path}/{transfer_id}`
  return [
    route({
      method: "GET",
      path: `/${path}`,
      ...since,
      operation: listTransfers,
      told: told(summary),
      handler: listOf(summary),
    }),
    route({
      method: "GET",
      path: `/${path}/detail`,
      ...since,
      operation: listTransfers,
      told: told(detail),
      handler: listOf(detail),
    }),
    route({
      method: "POST",
      path: `/${path}`,
      ...since,
      status: 202,
      body: createBody,
      operation: createTransfer,
      told: one("transfer", created.shows),
      handler: async (ctx, req: WireRequest<BodyOf<typeof createBody>>) => {
        const { volume_id: volumeId, name } = req.body.transfer
        const kept = (req.body.transfer as { no_snapshots?: boolean | string | null }).no_snapshots
        const keepsSnapshots = readBoolean("no_snapshots", kept, false)
        const { transfer, key } = await createTransfer(ctx, {
          volumeId,
          name: trimmed(name) ?? "",
          keepsSnapshots,
          // The older path never learnt of them.
          mayBeEncrypted: min !== undefined && atLeast(req.version, "3.70"),
        })
        return { transfer: created.show(ctx, req, { ...transfer, key }) }
      },
    }),
    route({
      method: "GET",
      path: one_,
      ...since,
      operation: getTransfer,
      told: one("transfer", detail.shows),
      handler: async (ctx, req) => ({
        transfer: detail.show(ctx, req, await getTransfer(ctx, { id: idOf(req) })),
      }),
    }),
    route({
      method: "DELETE",
      path: one_,
      ...since,
      status: 202,
      operation: deleteTransfer,
      handler: async (ctx, req) => await deleteTransfer(ctx, { id: idOf(req) }),
    }),
    route({
      method: "POST",
      path: `${one_}/accept`,
      ...since,
      status: 202,
      body: acceptBody,
      operation: acceptTransfer,
      told: one("transfer", summary.shows),
      handler: async (ctx, req: WireRequest<BodyOf<typeof acceptBody>>) => {
        const transfer = await acceptTransfer(ctx, { id: idOf(req), key: req.body.accept.auth_key })
        return { transfer: summary.show(ctx, req, transfer) }
      },
    }),
  ]
}

export const allTransferRoutes: readonly Route[] = [
  ...transferRoutes({ path: "os-volume-transfer" }),
  ...transferRoutes({ path: "volume-transfers", min: "3.55" }),
]
