// Prints what the Playground tells its page, one JSON object a line. Node 20 has its WebSocket behind a flag.
const socket = new WebSocket(process.argv[2])
socket.onopen = () => console.log('{"action":"open"}')
socket.onmessage = e => console.log(JSON.stringify(JSON.parse(e.data)))
socket.onclose = () => process.exit()
socket.onerror = e => { console.error(e.message ?? 'no connection'); process.exit(1) }
