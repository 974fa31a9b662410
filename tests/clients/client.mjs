// Read a SIM, and send it a text message: node client.mjs BASE_URL ICCID TEXT
const [url, iccid, text] = process.argv.slice(2);
let token;

async function call(method, path, body) {
  let response, text;
  try {
    response = await fetch(url + path, {
      method,
      headers: token ? { Authorization: token } : {},
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
    text = await response.text();
  } catch {
    throw new Error(method === "PUT" ? "connection lost, the message may have been sent" : "connection lost");
  }
  if (response.status === 429) {
    throw new Error(`too many requests, wait ${response.headers.get("Retry-After") ?? "some"} s`);
  }
  if (!response.ok) throw new Error(`status ${response.status}`);
  return text;
}

const json = async (...request) => JSON.parse(await call(...request));

try {
  const login = await json("POST", "/Login", { clientId: "demo-client", secretKey: "demo-secret" });
  token = login.data.token;

  // The status is a bare word, although its content type is JSON.
  const status = await call("GET", `/getStatus/${iccid}`);
  console.log(`status: ${status}`);
  const [usage] = await json("GET", `/ctdUsage/${iccid}`);
  console.log(`data usage: ${usage.ctdDataUsage}`);
  const session = await json("GET", `/sessionInfo/${iccid}`);
  console.log(session.dateSessionEnded === null ? `in session: ${session.ipAddress}` : "not in session");
  const device = await json("GET", `/GetDevice/${iccid}`);
  console.log(`device: ${device.deviceID}`);

  const { smsMsgId } = await json("PUT", `/SendSMS/${iccid}/1`, { messageText: text });
  const message = await json("GET", `/GetSMS/${smsMsgId}`);
  console.log(`message: ${message.messageText} (${message.status})`);
} catch (error) {
  console.log(`error: ${error.message}`);
  process.exitCode = 1;
}
