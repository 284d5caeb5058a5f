import Iceberg
import IcebergREST
import JSON
import Storage
import Testing

/// A server that is a list of answers; what is sent is kept.
private final class ScriptedClient: HTTPClient, @unchecked Sendable {
  // Unchecked: used by one thread.
  enum Answer {
    case json(Int, JSONValue)
    case failure(HTTPError)
  }

  private(set) var requests: [HTTPRequest] = []
  private var answers: [Answer]

  /// - Parameter answers: after the one that every catalog asks for first.
  init(_ answers: [Answer] = [], configuration: JSONValue = ["defaults": [:], "overrides": [:]]) {
    self.answers = [.json(200, configuration)] + answers
  }

  func add(_ more: [Answer]) { answers += more }

  func send(_ request: HTTPRequest) throws(HTTPError) -> HTTPResponse {
    requests.append(request)
    guard !answers.isEmpty else { throw HTTPError("no more answers", mayHaveArrived: false) }
    switch answers.removeFirst() {
    case .json(let status, let json): return HTTPResponse(status: status, body: json.utf8())
    case .failure(let error): throw error
    }
  }

  /// The bearer token of each request.
  var tokens: [String?] {
    requests.map { request in
      request.headers.first { $0.name == "Authorization" }?.value
    }
  }
}

/// What the client of REST catalogs sends, without a server.
@Suite struct RESTClientTests {
  private let schema = TableSchema(fields: [.required(1, "id", .long)])

  private func catalog(
    _ client: ScriptedClient, uri: String = "https://catalog.example",
    _ adjust: (inout RESTCatalog.Options) -> Void = { _ in }
  ) throws -> RESTCatalog {
    var options = RESTCatalog.Options(uri: uri)
    options.pause = { _ in }
    adjust(&options)
    return try RESTCatalog(
      name: "rest", options: options, io: try FileIO(fileSystem: POSIXFileSystem()), client: client)
  }

  private func metadata() throws -> TableMetadata {
    try TableMetadata.new(schema: schema, location: "file:///t", nowMilliseconds: 1)
  }

  private func answer(
    _ metadata: TableMetadata, config: JSONValue? = nil
  ) -> ScriptedClient.Answer {
    var object: JSONObject = [
      "metadata-location": "file:///t/metadata/0.metadata.json", "metadata": metadata.json,
    ]
    object["config"] = config
    return .json(200, .object(object))
  }

  @Test func newTablesGetThePropertiesThatAllOursHave() throws {
    let client = ScriptedClient([answer(try metadata())])
    _ = try catalog(client).createTable(
      try TableIdentifier("db.t"),
      TableDefinition(
        schema: schema, properties: ["write.metadata.previous-versions-max": "7", "mine": "1"]))
    let body = try JSONValue(parsing: try #require(client.requests.last?.body))
    let properties = body["properties"]
    #expect(properties?["write.metadata.delete-after-commit.enabled"] == "true")
    #expect(properties?["write.metadata.previous-versions-max"] == "7")
    #expect(properties?["mine"] == "1" && properties?["format-version"] == "2")
  }

  @Test func theTablesOwnTokenIsUsedForTheTableUntilItIsRefused() throws {
    let metadata = try metadata()
    let client = ScriptedClient([
      answer(metadata, config: ["token": "of-the-table", "s3.region": "x"]), answer(metadata),
      .json(200, ["namespaces": []]), .json(401, [:]), answer(metadata),
    ])
    let catalog = try catalog(client) { $0.token = "of-the-catalog" }
    let table = try catalog.loadTable(try TableIdentifier("db.t"))
    #expect(catalog.configuration(table.identifier)["s3.region"] == "x")
    _ = try table.refresh()
    _ = try catalog.listNamespaces()
    _ = try table.refresh()
    let own = "Bearer of-the-catalog"
    let special = "Bearer of-the-table"
    #expect(client.tokens == [own, own, special, own, special, own])
    #expect(catalog.configuration(try TableIdentifier("db.other")).isEmpty)
  }

  @Test func aBusyServerIsAskedAgainWhenNothingWasDone() throws {
    let metadata = try metadata()
    let client = ScriptedClient([
      answer(metadata), answer(metadata), .json(429, [:]), .json(429, [:]),
    ])
    let catalog = try catalog(client)
    let table = try catalog.loadTable(try TableIdentifier("db.t"))
    let updates: [TableUpdate] = [.setProperties(["a": "b"])]
    let done = try metadata.applying(updates, nowMilliseconds: 2, previousLocation: nil)
    client.add([answer(done)])
    var commit = table.newCommit()
    commit.setProperties(["a": "b"])
    let result = try commit.commit()
    #expect(result.table.properties["a"] == "b" && result.attemptCount == 1)
    #expect(client.requests.count == 6)
    // Not for ever: then it is proven that nothing happened.
    client.add([answer(done)] + Array(repeating: .json(429, [:]), count: 4))
    commit = result.table.newCommit()
    commit.setProperties(["a": "c"])
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .inputOutput)
  }

  @Test func s19ALostAnswerToAChangeWithoutASnapshotIsLookedUp() throws {
    let metadata = try metadata()
    let tagged = try metadata.applying(
      [.setProperties(["a": "b"])], nowMilliseconds: 2, previousLocation: nil)
    for lost: ScriptedClient.Answer in [
      .json(503, [:]), .json(409, [:]), .failure(HTTPError("cut", mayHaveArrived: true)),
    ] {
      let client = ScriptedClient([answer(metadata), answer(metadata), lost, answer(tagged)])
      let table = try catalog(client).loadTable(try TableIdentifier("db.t"))
      var commit = table.newCommit()
      commit.options.pause = { _ in }
      commit.setProperties(["a": "b"])
      #expect(try commit.commit().table.properties["a"] == "b")
      #expect(client.requests.count(where: { $0.method == .post }) == 1)
    }
  }

  @Test func filesOfATableAreInItsOwnFolder() throws {
    var metadata = try metadata()
    let client = ScriptedClient([answer(metadata)])
    let table = try catalog(client).loadTable(try TableIdentifier("db.t"))
    #expect(table.io.allowedRoots == ["/t"])
    // The location that the metadata says counts only where the metadata is there, too.
    metadata.location = "file:///etc"
    let hostile = ScriptedClient([answer(metadata)])
    let other = try catalog(hostile) { $0.tableFolders = ["/data"] }
      .loadTable(try TableIdentifier("db.t"))
    #expect(other.io.allowedRoots == ["/data"])
  }
}

/// Credentials go where they belong, and nowhere else.
@Suite struct CredentialTests {
  private let canary = "canary-7f3a-token"
  private let secret = "canary-91bc-secret"

  private func catalog(
    _ client: ScriptedClient, uri: String, _ adjust: (inout RESTCatalog.Options) -> Void
  ) throws -> RESTCatalog {
    var options = RESTCatalog.Options(uri: uri)
    options.pause = { _ in }
    adjust(&options)
    return try RESTCatalog(
      name: "rest", options: options, io: try FileIO(fileSystem: POSIXFileSystem()), client: client)
  }

  @Test(arguments: [
    "http://catalog.example", "http://10.0.0.1:8181", "http://127.0.0.1.evil.example",
    "http://127.0.0.1@evil.example", "http://localhost.evil.example",
    "http://evil.example/127.0.0.1",
    "http://[::2]", "HTTP://catalog.example", "http://128.0.0.1",
    "http://127.0.0.1:80@evil.example",
    "http://evil.example#@127.0.0.1", "http://evil.example?@localhost", "ftp://catalog.example",
  ])
  func nothingSecretGoesUnencryptedToAnotherMachine(uri: String) throws {
    let settings: [(inout RESTCatalog.Options) -> Void] = [
      { $0.token = canary }, { $0.credential = "me:" + secret },
      { $0.headers = ["X-Api-Key": secret] },
    ]
    for adjust in settings {
      let client = ScriptedClient()
      let error = #expect(throws: IcebergError.self) { try catalog(client, uri: uri, adjust) }
      #expect(error?.description.contains("https") == true)
      #expect(client.requests.isEmpty)
    }
    // Without a secret, and for whoever says so, it may go. A name before the host is one, too.
    if uri.contains("@evil") { return }
    #expect(throws: Never.self) { try catalog(ScriptedClient(), uri: uri) { _ in } }
    #expect(throws: Never.self) {
      try catalog(ScriptedClient(), uri: uri) {
        $0.token = canary
        $0.sendsSecretsUnencrypted = true
      }
    }
  }

  @Test(arguments: [
    "https://catalog.example", "http://127.0.0.1:8181", "http://localhost", "http://[::1]:80/x",
    "http://127.9.9.9", "http://user@localhost:1",
  ])
  func tokensGoOverEncryptedAndLocalConnections(uri: String) throws {
    let client = ScriptedClient()
    _ = try catalog(client, uri: uri) { $0.token = canary }
    #expect(client.tokens == ["Bearer " + canary])
  }

  @Test func aServerCannotSendTheCredentialElsewhere() throws {
    // The first token comes from the server itself, whose configuration then names another address.
    let client = ScriptedClient(
      [
        .json(
          200,
          ["defaults": [:], "overrides": ["oauth2-server-uri": "http://evil.example/tokens"]])
      ], configuration: ["access_token": .string(canary)])
    let catalog = try catalog(client, uri: "https://catalog.example") {
      $0.credential = "me:" + secret
    }
    let error = #expect(throws: IcebergError.self) { try catalog.listNamespaces() }
    #expect(error?.description.contains("https") == true)
    #expect(client.requests.count == 2)
  }

  @Test func noMessageShowsASecret() throws {
    let echo: JSONValue = [
      "error": [
        "message": .string("bad header Bearer \(canary), secret \(secret)"), "type": "Echo",
      ], "error_description": .string("wrong: \(secret)"),
    ]
    var texts: [String] = []
    func failing(_ body: () throws -> Void) {
      do { try body() } catch { texts += ["\(error)", String(reflecting: error)] }
    }
    for status in [400, 401, 403, 404, 409, 422, 429, 500, 503] {
      let client = ScriptedClient()
      let loaded = try catalog(client, uri: "https://u:\(secret)@catalog.example") {
        $0.token = canary
        $0.headers = ["X-Secret": secret]
      }
      client.add(Array(repeating: .json(status, echo), count: 8))
      failing { _ = try loaded.listNamespaces() }
      failing { try loaded.createNamespace(try Namespace("db")) }
      failing { try loaded.dropTable(try TableIdentifier("db.t")) }
      client.add(Array(repeating: .failure(HTTPError("cut", mayHaveArrived: true)), count: 8))
      failing { _ = try loaded.listNamespaces() }
    }
    failing {
      let client = ScriptedClient([], configuration: echo)
      _ = try catalog(client, uri: "https://catalog.example") { $0.credential = "me:" + secret }
    }
    var options = RESTCatalog.Options(uri: "https://u:\(secret)@catalog.example")
    options.token = canary
    options.credential = "me:" + secret
    var dumped = ""
    dump(options, to: &dumped)
    let request = HTTPRequest(
      .get, "https://u:\(secret)@h/x", headers: [("Authorization", canary)],
      body: Array(secret.utf8))
    dump(request, to: &dumped)
    texts += ["\(options)", String(reflecting: options), dumped, "\(request)"]
    #expect(texts.count > 60)
    for text in texts {
      #expect(!text.contains(canary) && !text.contains(secret) && !text.isEmpty, "\(text)")
    }
  }

  @Test func headersCannotBeginOthers() throws {
    let error = #expect(throws: HTTPError.self) {
      try CurlClient().send(
        HTTPRequest(.get, "http://127.0.0.1:1/", headers: [("A", "b\r\nAuthorization: x")]))
    }
    #expect(error?.mayHaveArrived == false)
  }
}
