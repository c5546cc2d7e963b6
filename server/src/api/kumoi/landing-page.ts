const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"]/g, (c) => escapes[c] ?? c)
}

/** Where the dashboard will be; until then it says how to get in with the stock client. */
export function landingPage(facts: { baseUrl: string; region: string }): string {
  const url = escapeHtml(facts.baseUrl)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kumoi</title>
<style>
  body { font: 16px/1.6 system-ui, sans-serif; max-width: 44rem; margin: 10vh auto; padding: 0 1.5rem;
    color: #1d2733; background: #f6f8fb }
  h1 { font-weight: 600; letter-spacing: .02em }
  h1 small { font-weight: 400; color: #6a7a8c }
  pre { background: #fff; border: 1px solid #dde4ec; border-radius: 6px; padding: 1rem; overflow-x: auto }
  @media (prefers-color-scheme: dark) {
    body { color: #dbe4ee; background: #12181f }
    pre { background: #1a222c; border-color: #2b3744 }
  }
</style>
</head>
<body>
<h1>Kumoi <small lang="ja">雲居</small></h1>
<p>This cloud is running. Region <b>${escapeHtml(facts.region)}</b>, every API at <code>${url}</code>.</p>
<pre>export OS_CLIENT_CONFIG_FILE=DATA_DIR/clouds.yaml
openstack --os-cloud kumoi-demo server list</pre>
<p lang="ja">このクラウドは動作中です。上のコマンドで標準の OpenStack クライアントからお使いください。</p>
<p>The dashboard is not built yet; this page stands where it will be.</p>
</body>
</html>
`
}
