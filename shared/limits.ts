/**
 * Every bound in EdgePipe, in one place. A queue, an inbox, a message or a wait without a line here is a defect.
 * Names end in their unit: `_ms`-style as `Ms`, bytes as `Bytes`; the rest count things.
 */
export const LIMITS = {
  room: {
    peers: 16,
    nameChars: 40,
    codeChars: 6,
    secretChars: 22,
    roomsPerServer: 1000,
    /** A room with nobody in it is forgotten after this long. */
    emptyRoomMs: 60_000,
    /** Ids of those who left, kept with their tokens so that nobody else comes back under them. */
    idsKept: 64,
  },
  signaling: {
    messageBytes: 64 * 1024,
    signalChars: 48 * 1024,
    signalsPerSecond: 200,
    joinsPerMinutePerAddress: 240,
    joinTimeoutMs: 10_000,
    /** A peer tries at least so often to reach the server again: links that broke with the network wait for that. */
    reconnectMaxMs: 2_000,
    sockets: 4096,
    /** Packets waiting for one slow socket; past this its signals are refused. */
    queuedPackets: 512,
    pingIntervalMs: 5_000,
    pingTimeoutMs: 10_000,
  },
  link: {
    /** One packet-friendly message: Chromium and Firefox both take it whole. */
    frameBytes: 16 * 1024,
    /** Above this a data channel gets no more; Chrome closes one whose queue passes about 16 MB. */
    highWaterBytes: 256 * 1024,
    lowWaterBytes: 64 * 1024,
    /** A data channel that takes less than this is slow: it gets frames in pieces of one packet each, ... */
    slowBytesPerSecond: 1_000_000,
    /** ... and in its buffer, and once more in our queue, there waits no more than it takes in so long: the rest would be stale. */
    bufferedMs: 300,
    /** One that takes so much is fast: it gets several frames in one message of at most so many bytes, which all browsers take. */
    fastBytesPerSecond: 4_000_000,
    bundleBytes: 64 * 1024,
    /** More waits there of what is not late: SCTP sees that a packet was lost by those behind it, else only when a timer ends. */
    patientBufferedBytes: 64 * 1024,
    /** Connections to one peer: the link's own, and spare ones for data while that is slow. */
    connections: 4,
    /** So long a spare connection is tried, and another is only worth it where data then drains faster by that factor. */
    lineTrialMs: 3_000,
    lineGain: 1.25,
    /** What one packet of the network takes of a message: fifteen such pieces make a frame. */
    pieceBytes: 1_104,
    /** Bytes of numbers of a part in one packet, beside the frame's header and the scales of int8; and packets in one frame. */
    packetNumberBytes: 1024,
    framePackets: 15,
    /** Frames of which not all pieces have come. */
    framesInPieces: 256,
    /** Waiting in our own queue for one link; past this `send` refuses, and parts take turns. */
    queueBytes: 1024 * 1024,
    /** Buffers of frames kept for the next frames: 4 MiB. */
    framesPooled: 256,
    controlQueueBytes: 1024 * 1024,
    /** A plan of 256 layers with long names takes 90 kB; browsers take 256 kB in one message. */
    controlMessageBytes: 200 * 1024,
    /** Messages that come before the engine listens. */
    earlyMessages: 256,
    connectTimeoutMs: 15_000,
    rebuildAttempts: 5,
    rebuildBackoffMs: 500,
    rebuildBackoffMaxMs: 8_000,
    /** The first burst that measures a link; the others last so long by what is known then, up to so many bytes. */
    goodputProbeBytes: 96 * 1024,
    goodputBurstMs: 60,
    goodputProbeMaxBytes: 512 * 1024,
    /** Bursts to a peer that came, so many heartbeats apart; the median counts. */
    goodputBursts: 3,
    goodputBurstBeats: 2,
    /** A burst that has not ended by then is given up. */
    goodputProbeMs: 5_000,
    /** The side that is not due to rebuild a link waits this much longer before it tries itself. */
    rebuildPatienceMs: 4_000,
    /** Pause between attempts once `rebuildAttempts` have failed. */
    rebuildSlowMs: 30_000,
    /** How often a link looks whether packets come. */
    packetWatchMs: 400,
    /** ICE calls many short gaps `disconnected`; past this the link is rebuilt. */
    disconnectedMs: 6_000,
    /** ICE candidates taken from the other side in one attempt. */
    candidates: 64,
    /** An offer further ahead than this is nonsense: taking it would use up the attempt numbers. */
    attemptJump: 10_000,
    /** Peers whose last attempt number is remembered after they left. */
    peersRemembered: 64,
    /** Messages held back by an emulated delay. */
    delayedBytes: 64 * 1024 * 1024,
    /** What is kept in memory where IndexedDB is missing or full. */
    memoryStoreBytes: 64 * 1024 * 1024,
    storageTimeoutMs: 5_000,
  },
  liveness: {
    heartbeatMs: 400,
    /** Silence after which a peer counts as gone: under the 3 s that a room may take to notice. */
    silenceMs: 2_000,
    /** The same for a peer whose packets come all the time: on a link that loses many, messages wait for those before them. */
    silenceLossyMs: 10_000,
    /** A peer may be silent for so many times the longest gap between its messages in so many heartbeats, ... */
    gapFactor: 1.5,
    gapsKept: 32,
    /** ... or so many times the longest that its link, not a busy device, made: a link that loses packets has long gaps after short ones. */
    linkGapFactor: 3,
    /** How long a pause waits for a silent peer to be heard again before its block is given away. */
    returnMs: 3_000,
    /** How long training goes on without a silent peer, or a broken link, where other lanes can do without. */
    awayMs: 30_000,
    /** While somebody is away, steps must go on at least so often, the time that they are predicted to take left aside. */
    awayStallMs: 2_000,
    /** A timer this late means that this device slept or was starved: it judges nobody by that silence. */
    clockJumpMs: 1_000,
    /** Of the heartbeats in so long, the one with the shortest round trip says what time it is on the other device. */
    clockSampleMs: 8_000,
    /** Such samples kept of one peer: half an hour. */
    clockSamples: 225,
  },
  election: {
    /** Heartbeats with an unchanged result before a claim, so that one table is what everybody sees. */
    settleMs: 1_200,
    /** The incumbent stays unless a challenger's centrality is better by this factor. */
    clearlyBetter: 1.25,
    claimTimeoutMs: 2_000,
    /** How often a wish for a run is told to whoever coordinates, so long apart, before nobody does. */
    startAttempts: 8,
    /** A term further ahead than this is not believed. */
    counterJump: 100_000,
  },
  run: {
    steps: 1_000_000,
    batch: 8192,
    microBatches: 64,
    layers: 256,
    /** Nodes of a model's graph: a layer is up to three. */
    nodes: 768,
    units: 65_536,
    /** Height or width of a window, a stride, a multiplier. */
    extent: 1024,
    /** The importance of units is measured on one micro-batch of every so many steps. */
    importanceEverySteps: 8,
    /** Scores in one message. */
    scoresSent: 8192,
    /** Steps before a run that began with given weights is planned anew by the importance that they showed. */
    profilingSteps: 32,
    /** Unit spaces up to this size are ordered by importance; a plan must fit a control message. */
    orderedUnits: 4096,
    /** Units in all orders of a plan together; beyond that, spaces keep the model's order. Three bytes each on the wire. */
    unitsInOrders: 32_768,
    parameters: 512 * 1024 * 1024,
    layerNameChars: 64,
    /** Of what a plan says about itself. */
    whyChars: 600,
    profileTimeoutMs: 60_000,
    prepareTimeoutMs: 120_000,
    /** Answering a pause or a request for a report: what takes longer is gone. */
    answerTimeoutMs: 8_000,
    /** No step finished for this long (plus what an emulated device needs): the room pauses and mends. */
    stallMs: 15_000,
    /** Rows of a test micro-batch: as in training, so that memory and shapes stay as they are, but at least so many. */
    evaluationRowsMin: 16,
    /** Test micro-batches on their way beyond one per stage: as many as have so many bytes at the widest boundary, within these. */
    evaluationAheadMin: 2,
    evaluationAheadMax: 16,
    evaluationAheadBytes: 4 * 1024 * 1024,
    /** Where links may be gone for a while: what has not come through the head for so long is sent again, the next time after twice as long. */
    evaluationRetryMs: 8_000,
    /** A test that would take longer than this by what it took so far, from some seconds on, is made by one peer, where links are slow. */
    evaluationTrialMs: 10_000,
    evaluationSlowMs: 60_000,
    /** Parts of later attempts than this block knows of are kept. */
    evaluationAttemptsAhead: 8,
    eventsKept: 2_000,
    mendsWithoutProgress: 3,
    /** Wait before planning anew after trouble; grows with each attempt that got nowhere. */
    troubleRestMs: 1_000,
  },
  pipeline: {
    /** Parts waiting for their turn at one block. */
    inboxParts: 512,
    inboxBytes: 128 * 1024 * 1024,
    tensorElements: 64 * 1024 * 1024,
    /** Arrays of so many numbers or more are used again: so many of one size, and no more bytes than this lie ready. */
    numbersPooledLeast: 1024,
    numbersPooledAlike: 16,
    numbersPooledBytes: 32 * 1024 * 1024,
    /** How long a part is waited for that says it has left, until enough was measured. */
    deadlineFirstMs: 500,
    /** Deadlines are measured from here up: less is within what timers and processors differ by. */
    deadlineLeastMs: 25,
    /** The same for a lane that has given no sign, where another lane's part is here: half a step where its link loses parts, within this. */
    behindLeastMs: 100,
    behindMostMs: 400,
    behindFirstMs: 2_000,
    /** A lane that is behind is not waited for in so long at first, and at most; then once more where nobody else is further. */
    absentFirstMs: 1_000,
    absentMostMs: 8_000,
    /** Waiting in vain in one step of one block, or as long as the step is predicted to take. */
    waitPerStepMs: 2_000,
    /** Where nothing at all is heard of what is waited for: so many times that. */
    silenceFactor: 3,
    /** Parts done with whose lateness is still measured, for each lane. */
    lateParts: 64,
    /** Later parts, after which no more is expected of one that is not whole. */
    settledParts: 8,
    /** Notices of parts that have left are put together for so long: frames say the same, unless all of a part are lost. */
    noticeMs: 40,
    /** Streams of parts, and parts that are not sent whole, in one notice. */
    noticeStreams: 64,
    noticeItems: 256,
    /** Packets named in one request to send them again. */
    packetsAsked: 512,
    /** Requests for one part under `repair`. */
    repairs: 3,
    /** Until the next request, before enough was measured, and at most, where a run does not say. */
    resendFirstMs: 250,
    resendMaxMs: 500,
    /** What a run may ask for as the most. */
    resendLeastMs: 10,
    resendMostMs: 10_000,
    /** Loss on a link from which packets are frames of their own, and parts are sent several times under `deadline`: ... */
    lossWorthCopies: 0.02,
    /** ... by their size as often as leaves so much lost, at most so many times. */
    smallParts: { bytes: 2 * 1024, lossLeft: 0.02, copies: 4 },
    lightParts: { bytes: 16 * 1024, copies: 4 },
    mediumParts: { bytes: 64 * 1024, lossLeft: 0.02, lossLeftIfSlow: 0.15, copies: 2 },
    /** How long after the last packet of a part that is mostly here another is waited for, at least, and in times of what is usual on the link. */
    graceLeastMs: 10,
    graceSpacings: 4,
    /** Peers that pass on copies of a part, most, where its link loses part after part; of larger parts, one. */
    detours: 2,
    /** Parts that wait for one link; further ones are not sent, where parts may be lost. */
    partsWaiting: 16,
    /** Spans of a timeline kept, the latest: about 100 bytes each. */
    spansKept: 8_000,
    /** Packets over which the share of those in time is averaged, for people to see. */
    packetsLately: 1_000,
    /** Micro-batches in flight beyond S - s at stage s, for the way there and back. */
    aheadMax: 8,
    /** The same without a flush between steps, where each adds to how stale weights are. */
    asyncAhead: 2,
    /** Micro-batches whose weight gradients one device without neighbours sums at once. */
    mergedMax: 4,
  },
  data: {
    chunkSamples: 1000,
    chunkBytes: 8 * 1024 * 1024,
    /** Copies of each chunk in the room before the server is no longer needed. */
    copies: 2,
    chunksInMemory: 6,
    fetchesAtOnce: 4,
    fetchTimeoutMs: 30_000,
    /** Chunks that a peer does not give in so long are fetched from the server, too. */
    peerPatienceMs: 1_500,
    blobTimeoutMs: 20_000,
    blobBytes: 512 * 1024 * 1024,
    blobsAtOnce: 8,
  },
  faults: {
    /** Links, stalls or cuts that are named one by one. */
    named: 128,
    /** How much later a frame comes that is to come after those behind it. */
    reorderMs: 20,
  },
  lab: {
    /** What waits for a limited line longer than this is lost, as in the buffer of a router. */
    queueMs: 200,
    latencyMs: 2_000,
    /** A line's delay is drawn anew after so long. */
    jitterSliceMs: 100,
    /** Addresses that stand for others at the relay: one for each end of each link that was ever tried. */
    aliases: 4096,
    /** Packets on their way through the relay. */
    packetsHeld: 50_000,
    /** A slowed processor gets its share in slices of so long. */
    processorSliceUs: 20_000,
    slow: 100,
    /** How long a peer's link may be cut. */
    cutSeconds: 3600,
  },
  refusals: {
    /** Refused messages kept for the log, per peer; the counters go on. */
    kept: 100,
  },
} as const;
