# ruff: noqa: E501 - a type is a line, as long as the standard made it.
"""The structures of the messages that are read and written here. Names and order are the standard's; ours are the types.

Both the older and the newer versions of a message fit one text: what only one of them has is optional here.
"""

from exchange.iso20022.grammar import read_schema

_PARTIES = """
Account = Id:AccountId Tp? Ccy:Currency? Nm:Name? Prxy? Ownr? Svcr?
AccountId = IBAN:Iban? Othr:OtherId?
OtherId = Id:Id SchmeNm? Issr?
Party = Pty:PartyId? Agt? Nm:Name? PstlAdr? Id? CtryOfRes? CtctDtls?
PartyId = Nm:Name? PstlAdr? Id? CtryOfRes? CtctDtls?
Reason = Cd:Code? Prtry:Id?
"""
_BALANCES = """
Balance = Tp:BalanceType CdtLine* Amt:Amount CdtDbtInd:Side Dt:DateOrMoment Avlbty*
BalanceType = CdOrPrtry:BalanceCode SubTp?
BalanceCode = Cd:Code? Prtry:Id?
DateOrMoment = Dt:Date? DtTm:Moment?
Summary = TtlNtries:Totals? TtlCdtNtries:Totals? TtlDbtNtries:Totals? TtlNtriesPerBkTxCd*
Totals = NbOfNtries:Number? Sum:Decimal? TtlNetNtryAmt? TtlNetNtry? CdtDbtInd?
"""
_ENTRIES = """
Entry = NtryRef:Id? Amt:Amount CdtDbtInd:Side RvslInd:Bool? Sts:Status BookgDt:DateOrMoment? ValDt:DateOrMoment? AcctSvcrRef:Id? Avlbty* BkTxCd ComssnWvrInd? AddtlInfInd? AmtDtls? Chrgs? TechInptChanl? Intrst? CardTx? NtryDtls:EntryDetails* AddtlNtryInf:Words?
EntryDetails = Btch:Batch? TxDtls:Transaction*
Batch = MsgId:Id? PmtInfId:Id? NbOfTxs:Number? TtlAmt:Amount? CdtDbtInd:Side?
Transaction = Refs:References? Amt:Amount? CdtDbtInd:Side? AmtDtls? Avlbty* BkTxCd? Chrgs? Intrst? RltdPties:Parties? RltdAgts? LclInstrm? Purp? RltdRmtInf* RmtInf:Remittance? RltdDts? RltdPric? RltdQties* FinInstrmId? Tax? RtrInf:Return? CorpActn? SfkpgAcct? CshDpst* CardTx? AddtlTxInf:Words? SplmtryData*
References = MsgId:Id? AcctSvcrRef:Id? PmtInfId:Id? InstrId:Id? EndToEndId:Id? UETR? TxId:Id? MndtId? ChqNb? ClrSysRef? AcctOwnrTxId? AcctSvcrTxId? MktInfrstrctrTxId? PrcgId? Prtry*
Parties = InitgPty? Dbtr:Party? DbtrAcct:Account? UltmtDbtr? Cdtr:Party? CdtrAcct:Account? UltmtCdtr? TradgPty? Prtry*
Remittance = Ustrd:Words* Strd:Structured*
Structured = RfrdDocInf* RfrdDocAmt? CdtrRefInf:CreditorReference? Invcr? Invcee? TaxRmt? GrnshmtRmt? AddtlRmtInf*
CreditorReference = Tp? Ref:Id?
Return = OrgnlBkTxCd? Orgtr? Rsn:Reason? AddtlInf:Words*
"""

CAMT_053 = read_schema(
    """
Document = BkToCstmrStmt:Root
Root = GrpHdr:Header Stmt:Statement+ SplmtryData*
Header = MsgId:Id CreDtTm:Moment MsgRcpt? MsgPgntn:Pages? OrgnlBizQry? AddtlInf?
Pages = PgNb:Number LastPgInd:Bool
Statement = Id:Id StmtPgntn:Pages? ElctrncSeqNb:Number? RptgSeq? LglSeqNb:Number? CreDtTm:Moment? FrToDt? CpyDplctInd? RptgSrc? Acct:Account RltdAcct? Intrst* Bal:Balance+ TxsSummry:Summary? Ntry:Entry* AddtlStmtInf:Words?
Status = Cd:Code? Prtry:Id?
"""
    + _PARTIES
    + _BALANCES
    + _ENTRIES
)
CAMT_054 = read_schema(
    """
Document = BkToCstmrDbtCdtNtfctn:Root
Root = GrpHdr:Header Ntfctn:Notification+ SplmtryData*
Header = MsgId:Id CreDtTm:Moment MsgRcpt? MsgPgntn:Pages? OrgnlBizQry? AddtlInf?
Pages = PgNb:Number LastPgInd:Bool
Notification = Id:Id NtfctnPgntn:Pages? ElctrncSeqNb:Number? RptgSeq? LglSeqNb:Number? CreDtTm:Moment? FrToDt? CpyDplctInd? RptgSrc? Acct:Account RltdAcct? Intrst* TxsSummry:Summary? Ntry:Entry* AddtlNtfctnInf:Words?
Status = Cd:Code? Prtry:Id?
"""
    + _PARTIES
    + _BALANCES
    + _ENTRIES
)
PAIN_002 = read_schema(
    """
Document = CstmrPmtStsRpt:Root
Root = GrpHdr:Header OrgnlGrpInfAndSts:Group OrgnlPmtInfAndSts:Payments* SplmtryData*
Header = MsgId:Id CreDtTm:Moment InitgPty? FwdgAgt? DbtrAgt? CdtrAgt?
Group = OrgnlMsgId:Id OrgnlMsgNmId:Id OrgnlCreDtTm:Moment? OrgnlNbOfTxs:Number? OrgnlCtrlSum:Decimal? GrpSts:Code? StsRsnInf:StatusReason* NbOfTxsPerSts*
Payments = OrgnlPmtInfId:Id OrgnlNbOfTxs:Number? OrgnlCtrlSum:Decimal? PmtInfSts:Code? StsRsnInf:StatusReason* NbOfTxsPerSts* TxInfAndSts:Payment*
Payment = StsId:Id? OrgnlInstrId:Id? OrgnlEndToEndId:Id? OrgnlUETR? TxSts:Code? StsRsnInf:StatusReason* ChrgsInf* TrckrData? AccptncDtTm:Moment? PrcgDt? FctvIntrBkSttlmDt? AcctSvcrRef:Id? ClrSysRef? OrgnlTxRef? SplmtryData*
StatusReason = Orgtr? Rsn:Reason? AddtlInf:Words*
"""
    + _PARTIES
)
PAIN_001 = read_schema(
    """
Document = CstmrCdtTrfInitn:Root
Root = GrpHdr:Header PmtInf:Payments+ SplmtryData*
Header = MsgId:Id CreDtTm:Moment Authstn* NbOfTxs:Number CtrlSum:Decimal InitgPty:PartyId FwdgAgt? InitnSrc?
Payments = PmtInfId:Id PmtMtd:Code ReqdAdvcDt? BtchBookg:Bool? NbOfTxs:Number CtrlSum:Decimal PmtTpInf? ReqdExctnDt:DateOrMoment Dbtr:PartyId DbtrAcct:Account DbtrAgt:Agent InstrForDbtrAgt? UltmtDbtr? ChrgBr:Code? ChrgsAcct? ChrgsAcctAgt? CdtTrfTxInf:Payment+
DateOrMoment = Dt:Date? DtTm:Moment?
Payment = PmtId:PaymentId PmtTpInf? Amt:PaymentAmount XchgRateInf? ChrgBr? MndtRltdInf? ChqInstr? UltmtDbtr? IntrmyAgt1? CdtrAgt:Agent? CdtrAgtAcct? Cdtr:PartyId CdtrAcct:Account UltmtCdtr? InstrForCdtrAgt* InstrForDbtrAgt? Purp? RgltryRptg* Tax? RltdRmtInf* RmtInf:Remittance? SplmtryData*
PaymentId = InstrId:Id? EndToEndId:Id UETR?
PaymentAmount = InstdAmt:Amount? EqvtAmt?
Agent = FinInstnId:Institution BrnchId?
Institution = BICFI:Bic? ClrSysMmbId? LEI? Nm:Name? PstlAdr? Othr:OtherId?
Remittance = Ustrd:Words* Strd*
"""
    + _PARTIES
)
# What a bank sends us.
INCOMING = {"camt.053": CAMT_053, "camt.054": CAMT_054, "pain.002": PAIN_002}
OUTGOING = {"pain.001": PAIN_001}
