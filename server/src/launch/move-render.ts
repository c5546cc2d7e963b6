// What `kumoi host drain`, `kumoi host evacuate` and `kumoi server move` print: a line for each thing that happens.
import type { MoveWay } from "../compute/index.ts"
import type { MoveEvent } from "./move-loop.ts"

const beginWords: Record<MoveWay, string> = {
  live: "goes while it runs",
  cold: "goes while it is off",
  stops: "is stopped and goes",
  anew: "is made anew elsewhere",
}
const movedWords: Record<MoveWay, string> = {
  live: "live",
  cold: "cold",
  stops: "cold, and was stopped for it",
  anew: "made anew",
}

export function renderMoveEvent(event: MoveEvent): string {
  if (event.event === "sum") return renderSum(event)
  return `${event.id}  ${event.name}: ${wordsOf(event)}\n`
}

function wordsOf(event: Exclude<MoveEvent, { event: "sum" }>): string {
  switch (event.event) {
    case "begins":
      return event.isFound ? `is on its way already, ${movedWords[event.way]}` : beginWords[event.way]
    case "percent":
      return `${event.percent} %${event.to === null ? "" : ` is on ${event.to}`}`
    case "moved":
      return `is on ${event.to}, ${movedWords[event.way]}, after ${secondsText(event.ms)}`
    case "deleted":
      return "was deleted on the way"
    case "failed":
      return `did not move: ${event.why}`
    case "left":
      return `is left: ${event.why}`
  }
}

function renderSum({ host, live, cold, anew, left, ms }: Extract<MoveEvent, { event: "sum" }>): string {
  const count = live + cold + anew
  const ways = anew > 0 ? `${anew} made anew` : `${live} live, ${cold} cold`
  const moved = count === 0 ? "none moved" : `${servers(count)} moved (${ways}) in ${secondsText(ms)}`
  if (left === 0) return `${host} is empty: ${moved}\n`
  return `${servers(left)} ${left === 1 ? "is" : "are"} left on ${host}; ${moved}\n`
}

const servers = (count: number) => `${count} server${count === 1 ? "" : "s"}`

export function secondsText(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const minutes = Math.floor(ms / 60_000)
  return minutes < 60
    ? `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
