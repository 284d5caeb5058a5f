import Columnar
import Foundation
import Iceberg
import IcebergREST
import JSON
import Storage
import Testing

/// The test server (`Tests/Interop/rest_server.py`), a process that ends with the last reference.
final class RESTServer: @unchecked Sendable {
  // Unchecked: used by one test.
  private let process = Process()
  private let input = Pipe()
  let folder: String
  let uri: String

  init() throws {
    folder = FileManager.default.temporaryDirectory.path + "/fstore-rest-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let output = Pipe()
    process.executableURL = Peer.python
    process.arguments = [Peer.scripts.appending(path: "rest_server.py").path, folder]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    var text = ""
    while !text.hasSuffix("\n") {
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { throw Peer.Failure(description: "the server did not start") }
      text += String(decoding: more, as: UTF8.self)
    }
    uri = "http://127.0.0.1:" + text.dropLast()
  }

  deinit {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Says what is to happen.
  @discardableResult
  func set(_ settings: JSONObject) throws -> [String] {
    let response = try CurlClient().send(
      HTTPRequest(.post, uri + "/test", body: JSONValue.object(settings).utf8()))
    let json = try JSONValue(parsing: response.body)
    return json["log"]?.arrayValue?.compactMap(\.stringValue) ?? []
  }

  func catalog(
    _ adjust: (inout RESTCatalog.Options) -> Void = { _ in }, client: any HTTPClient = CurlClient()
  ) throws -> RESTCatalog {
    var options = RESTCatalog.Options(uri: uri + "/")
    options.warehouse = "w"
    options.pause = { _ in }
    adjust(&options)
    return try RESTCatalog(
      name: "rest", options: options, io: try FileIO(fileSystem: POSIXFileSystem()),
      client: client)
  }
}

/// Counts requests and answers some in the server's place.
private final class MeddlingClient: HTTPClient, @unchecked Sendable {
  // Unchecked: used by one thread.
  enum Step {
    case pass
    case answer(Int, String)
    case fail
    /// Sends the request, and then again; the second answer counts.
    case twice
  }

  var plan: [Step] = []
  var requests: [HTTPRequest] = []

  func send(_ request: HTTPRequest) throws(HTTPError) -> HTTPResponse {
    requests.append(request)
    let client = CurlClient()
    guard let step = plan.first else { return try client.send(request) }
    plan.removeFirst()
    switch step {
    case .answer(let status, let text):
      return HTTPResponse(status: status, body: Array(text.utf8))
    case .fail: throw HTTPError("planted", mayHaveArrived: true)
    case .twice: _ = try client.send(request)
    case .pass: break
    }
    return try client.send(request)
  }
}

@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct RESTCatalogTests {
  private let columns = Array(AllTypes.primitives.prefix(4))

  private func table(_ catalog: RESTCatalog, _ name: String = "db.t") throws -> Table {
    let identifier = try TableIdentifier(name)
    try catalog.createNamespace(identifier.namespace)
    return try catalog.createTable(
      identifier, TableDefinition(schema: AllTypes.schema(columns)))
  }

  private func row(_ id: Int64) -> JSONValue {
    AllTypes.random(1, firstID: id, seed: UInt64(id + 1), columns)[0]
  }

  private func ids(_ table: Table) throws -> [Int64] {
    try table.refresh().rows().compactMap { $0.arrayValue?[0].int64Value }.sorted()
  }

  @Test func namespacesAndTablesAreMadeListedAndRemoved() throws {
    let server = try RESTServer()
    let catalog = try server.catalog()
    #expect(catalog.properties["clients"] == "4" && catalog.properties["warehouse"] == "w")
    let inner = try Namespace(["db", "inner one"])
    try catalog.createNamespace(try Namespace("db"), properties: ["owner": "me"])
    try catalog.createNamespace(inner)
    #expect(try catalog.namespaceProperties(try Namespace("db")) == ["owner": "me"])
    let again = #expect(throws: IcebergError.self) { try catalog.createNamespace(inner) }
    #expect(again?.kind == .alreadyExists)
    for index in 0..<5 {
      _ = try catalog.createTable(
        try TableIdentifier(inner, "t/\(index)"),
        TableDefinition(schema: AllTypes.schema(columns)))
    }
    // Lists come in pages of two.
    #expect(try catalog.listTables(inner).map(\.name) == (0..<5).map { "t/\($0)" })
    #expect(try Set(catalog.listNamespaces()) == [try Namespace("db"), inner])
    let first = try TableIdentifier(inner, "t/0")
    let other = try TableIdentifier(inner, "other")
    try catalog.renameTable(first, to: other)
    #expect(try catalog.tableExists(other) && !catalog.tableExists(first))
    let taken = #expect(throws: IcebergError.self) {
      try catalog.renameTable(other, to: try TableIdentifier(inner, "t/1"))
    }
    #expect(taken?.kind == .alreadyExists)
    let location = try catalog.loadTable(other).metadataLocation
    try catalog.dropTable(other)
    let gone = #expect(throws: IcebergError.self) { try catalog.loadTable(other) }
    #expect(gone?.kind == .notFound)
    #expect(try catalog.registerTable(first, metadataLocation: location).schema.fields.count == 5)
    let full = #expect(throws: IcebergError.self) { try catalog.dropNamespace(inner) }
    #expect(full?.description.contains("not empty") == true)
    for table in try catalog.listTables(inner) { try catalog.dropTable(table) }
    try catalog.dropNamespace(inner)
  }

  @Test func everyKindOfCommitIsUnderstoodByTheServer() throws {
    let server = try RESTServer()
    var table = try table(try server.catalog())
    table = try table.appending([row(1), row(2)])
    var schema = SchemaUpdate()
    schema.add(.optional(1, "extra", .string))
    var spec = PartitionSpecUpdate()
    spec.add("id", .bucket(2))
    var commit = table.newCommit()
    commit.updateSchema(schema)
    commit.updatePartitionSpec(spec)
    commit.replaceSortOrder([
      (column: "id", transform: .identity, direction: .ascending, nullOrder: .nullsLast)
    ])
    commit.setProperties(["a": "1", "b": "2"])
    table = try commit.commit().table
    #expect(table.schema.field(named: "extra") != nil)
    #expect(table.metadata.defaultPartitionSpec.fields.map(\.transform) == [.bucket(2)])
    commit = table.newCommit()
    commit.removeProperties(["a"])
    commit.createTag("t")
    commit.createBranch("b")
    table = try commit.commit().table
    #expect(table.properties["a"] == nil && table.properties["b"] == "2")
    table = try table.deleteRows(where: .comparison("id", .equal, .long(1))).table
    #expect(try ids(table) == [2])
    commit = table.newCommit()
    commit.removeReference("b")
    commit.rollBack(to: try #require(table.metadata.references["t"]?.snapshotID))
    table = try commit.commit().table
    #expect(try ids(table) == [1, 2])
    #expect(table.metadata.references.keys.sorted() == ["main", "t"])
  }

  @Test func tokensAreFetchedAndFetchedAgainWhenRefused() throws {
    let server = try RESTServer()
    try server.set(["tokens": true, "prefix": "a/b"])
    let without = #expect(throws: IcebergError.self) { try server.catalog() }
    #expect(without?.description.contains("401") == true)
    let wrong = #expect(throws: IcebergError.self) {
      try server.catalog { $0.credential = "user:nothing" }
    }
    #expect(wrong?.description.contains("wrong credentials") == true)
    let client = MeddlingClient()
    let catalog = try server.catalog({ $0.credential = "user:s:cret&" }, client: client)
    let table = try table(catalog)
    client.plan = [.answer(401, "")]
    let updated = try table.appending([row(1)])
    #expect(try ids(updated) == [1])
    let fetched = client.requests.filter { $0.url.hasSuffix("/v1/oauth/tokens") }
    // One for the configuration, one for the rest, one after the refusal.
    #expect(fetched.count == 3)
    #expect(client.requests.contains { $0.url.contains("/v1/a/b/namespaces/db/tables") })
  }

  @Test(arguments: ["500 after", "502 after", "503 after", "504 after", "drop after"])
  func s18AnAnswerThatSaysNothingIsLookedUp(fault: String) throws {
    let server = try RESTServer()
    var table = try table(try server.catalog())
    let files = try table.writing([row(1)])
    try server.set(["faults": [.string(fault)]])
    var commit = table.newAppend(files)
    commit.options.pause = { _ in }
    table = try commit.commit().table
    // It was committed, once, and nothing of it was deleted.
    #expect(try ids(table) == [1] && table.metadata.snapshots.count == 1)
  }

  @Test func s18WhatIsNotFoundStaysUnknownAndNothingIsDeleted() throws {
    let server = try RESTServer()
    let table = try table(try server.catalog())
    let files = try table.writing([row(1)])
    try server.set(["faults": ["500 before"]])
    var commit = table.newAppend(files)
    commit.options.pause = { _ in }
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .commitStateUnknown)
    let names = try FileManager.default.subpathsOfDirectory(
      atPath: try Location.path(of: table.location))
    #expect(names.contains { $0.hasSuffix(".avro") } && names.contains { $0.hasSuffix(".parquet") })
  }

  @Test func s19AConflictAfterOurOwnSuccessIsSuccess() throws {
    let server = try RESTServer()
    let client = MeddlingClient()
    let table = try table(try server.catalog(client: client))
    let files = try table.writing([row(1)])
    // A proxy sends the commit twice and gives the second answer.
    client.plan = [.pass, .twice]
    var commit = table.newAppend(files)
    commit.options.pause = { _ in }
    let result = try commit.commit()
    #expect(try ids(result.table) == [1] && result.table.metadata.snapshots.count == 1)
  }

  @Test func conflictsAreTriedAgainOnTheNewHead() throws {
    let server = try RESTServer()
    let catalog = try server.catalog()
    let table = try table(catalog)
    let files = try table.writing([row(1)])
    _ = try table.appending([row(2)])
    try server.set(["faults": ["409", "409"]])
    var commit = table.newAppend(files)
    commit.options.pause = { _ in }
    let result = try commit.commit()
    #expect(result.attemptCount == 3)
    #expect(try ids(result.table) == [1, 2])
  }

  @Test(arguments: [nil, "500 after", "409"])
  func twoTablesChangeTogetherOrNotAtAll(fault: String?) throws {
    let server = try RESTServer()
    let catalog = try server.catalog()
    let (a, b) = (try table(catalog), try table(catalog, "dc.u"))
    let files = (try a.writing([row(1)]), try b.writing([row(2)]))
    try server.set(["faults": fault.map { [.string($0)] } ?? []])
    var transaction = CatalogTransaction([a.newAppend(files.0), b.newAppend(files.1)])
    transaction.options.pause = { _ in }
    let results = try transaction.commit()
    #expect(try results.map { try ids($0.table) } == [[1], [2]])
    #expect(results[1].table.metadata.snapshots.count == 1)
    #expect(results[0].attemptCount == (fault == "409" ? 2 : 1))
    let requests = try server.set([:]).filter { $0.hasPrefix("POST /v1/transactions/commit") }
    #expect(requests.count == (fault == "409" ? 2 : 1))
    // What the server refuses changes none.
    try server.set(["faults": ["409", "409"]])
    transaction = CatalogTransaction([
      a.newAppend(try a.writing([row(3)])), b.newAppend(try b.writing([row(4)])),
    ])
    transaction.options.retryCount = 1
    transaction.options.pause = { _ in }
    let error = #expect(throws: IcebergError.self) { try transaction.commit() }
    #expect(error?.kind == .commitConflict)
    #expect(try ids(a) == [1] && ids(b) == [2])
  }

  @Test func aTableIsReplacedAsAWhole() throws {
    let server = try RESTServer()
    let table = try table(try server.catalog()).appending([row(1)])
    let definition = TableDefinition(
      schema: TableSchema(fields: [.optional(1, "id", .long), .optional(2, "other", .string)]))
    var commit = try table.newReplacement(definition)
    let writer = try DataFileWriter(commit.table)
    try writer.write(
      try Canonical.batch([[7, "x"]], commit.table.schema.columnarSchema))
    commit.append(try writer.finish())
    let replaced = try commit.commit().table
    #expect(try ids(replaced) == [7])
    #expect(replaced.schema.field(named: "id")?.id == table.schema.field(named: "id")?.id)
    #expect(replaced.metadata.snapshots.count == 2)
  }

  @Test func aTimeoutWhileCommittingIsUnknownAndLookedUp() throws {
    let server = try RESTServer()
    var client = CurlClient()
    client.timeoutMilliseconds = 1000
    let table = try table(try server.catalog(client: client))
    let files = try table.writing([row(1)])
    try server.set(["faults": ["slow after"]])
    var commit = table.newAppend(files)
    commit.options.statusCheckCount = 5
    #expect(try ids(commit.commit().table) == [1])
  }

  @Test func aServerThatIsNotThereIsAnErrorThatNamesIt() throws {
    var options = RESTCatalog.Options(uri: "http://127.0.0.1:1")
    options.pause = { _ in }
    let io = try FileIO(fileSystem: POSIXFileSystem())
    let error = #expect(throws: IcebergError.self) {
      try RESTCatalog(name: "rest", options: options, io: io)
    }
    #expect(error?.kind == .inputOutput)
    #expect(error?.description.contains("127.0.0.1:1") == true)
  }

  @Test func readsAreRepeatedAfterFailures() throws {
    let server = try RESTServer()
    let client = MeddlingClient()
    let catalog = try server.catalog(client: client)
    let table = try table(catalog)
    client.plan = [.answer(503, ""), .fail]
    #expect(try table.refresh().metadata.tableUUID == table.metadata.tableUUID)
    client.plan = Array(repeating: .answer(500, "<html>"), count: 9)
    let error = #expect(throws: IcebergError.self) { try table.refresh() }
    #expect(error?.kind == .inputOutput && client.plan.count == 5)
  }

  @Test func strangeAnswersAreErrorsAndNoCrashes() throws {
    let server = try RESTServer()
    let client = MeddlingClient()
    let catalog = try server.catalog(client: client)
    let table = try table(catalog)
    let answers = [
      "", "{", "[]", "{}", #"{"metadata": 1}"#, #"{"metadata": {}}"#, #"{"namespaces": [1]}"#,
      #"{"identifiers": [{}]}"#, #"{"namespaces": [["db"]], "next-page-token": "x"}"#,
    ]
    for text in answers {
      client.plan = [.answer(200, text)]
      #expect(throws: IcebergError.self, "\(text)") { try table.refresh() }
      client.plan = [.answer(200, text)]
      #expect(throws: IcebergError.self, "\(text)") { try catalog.listTables(try Namespace("db")) }
    }
  }
}
