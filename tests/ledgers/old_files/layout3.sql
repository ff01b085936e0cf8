BEGIN TRANSACTION;
PRAGMA application_id = 2016686130;
PRAGMA user_version = 3;
CREATE TABLE accounts (id INTEGER PRIMARY KEY, purse TEXT NOT NULL, name TEXT NOT NULL,
       currency TEXT NOT NULL, units INTEGER NOT NULL CHECK (typeof(units) = 'integer' AND units >= 0),
       payments INTEGER NOT NULL CHECK (payments >= 0), latest REAL NOT NULL, UNIQUE (purse, name, currency));
INSERT INTO "accounts" VALUES(1,'default','','USD',110000,11,1790006330.0);
INSERT INTO "accounts" VALUES(2,'default','api.example.com','USD',100000,10,1790006330.0);
INSERT INTO "accounts" VALUES(3,'default','b.example.com','USD',10000,1,1790006180.0);
INSERT INTO "accounts" VALUES(4,'default','*.example.com','USD',10000,1,1790006180.0);
CREATE TABLE holds (id INTEGER PRIMARY KEY, 
    purse TEXT NOT NULL, purchase TEXT NOT NULL, request TEXT NOT NULL, keyed INTEGER NOT NULL,
    method TEXT NOT NULL, url TEXT NOT NULL, scheme TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL,
    offer TEXT NOT NULL, currency TEXT NOT NULL, units INTEGER NOT NULL, created REAL NOT NULL,
    state TEXT NOT NULL, money TEXT NOT NULL, tries INTEGER NOT NULL,
    nonce TEXT, payer TEXT, expires INTEGER, evidence TEXT
,
       header TEXT, accounts TEXT NOT NULL, owner TEXT);
INSERT INTO "holds" VALUES(343473934325692158,'default','key open default','request key',1,'GET','https://api.example.com/key','https','api.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790006300.0,'signed','held',0,'0x41','0xAbCdEf0000000000000000000000000000000001',1790006900,'{"height":7}','["PAYMENT-SIGNATURE","worth-money-0x41"]','1 2',NULL);
INSERT INTO "holds" VALUES(2737003450293330313,'default','request open default','request open',0,'GET','https://api.example.com/open','https','api.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790006210.0,'signed','held',0,'0x30','0xAbCdEf0000000000000000000000000000000001',1790006810,'{"height":7}','["PAYMENT-SIGNATURE","worth-money-0x30"]','1 2',NULL);
INSERT INTO "holds" VALUES(5674796117127003620,'default','request unsigned default','request unsigned',0,'GET','https://api.example.com/unsigned','https','api.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790006330.0,'reserved','held',0,NULL,NULL,NULL,NULL,NULL,'1 2','268ee7ae8bf841dc');
INSERT INTO "holds" VALUES(6143937755797518727,'default','request sol default','request sol',0,'GET','https://api.example.com/sol','https','api.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790006240.0,'signed','held',0,'memo31','7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU',1790006840,'{"height":7}','["PAYMENT-SIGNATURE","worth-money-memo31"]','1 2',NULL);
CREATE TABLE keyed (key TEXT PRIMARY KEY, id INTEGER NOT NULL, 
    purse TEXT NOT NULL, purchase TEXT NOT NULL, request TEXT NOT NULL, keyed INTEGER NOT NULL,
    method TEXT NOT NULL, url TEXT NOT NULL, scheme TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL,
    offer TEXT NOT NULL, currency TEXT NOT NULL, units INTEGER NOT NULL, created REAL NOT NULL,
    state TEXT NOT NULL, money TEXT NOT NULL, tries INTEGER NOT NULL,
    nonce TEXT, payer TEXT, expires INTEGER, evidence TEXT
, receipt TEXT);
INSERT INTO "keyed" VALUES('key paid default',3808061317121426923,'default','key paid default','request paid',1,'GET','https://api.example.com/paid','https','api.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790006270.0,'delivered','spent',0,'0x40','0xAbCdEf0000000000000000000000000000000001',1790006870,'{"height":7}','[true,"0xfeed","eip155:8453","0xpayer",10000,"",{"success":true}]');
CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), identity TEXT NOT NULL,
       frozen TEXT NOT NULL, boot TEXT NOT NULL, steady REAL NOT NULL, at REAL NOT NULL);
INSERT INTO "meta" VALUES(1,'773cc65b5523a0bbeb1e091c65be28fa','["bad.example"]','boot',1790006330.0,1790006330.0);
CREATE TABLE past (number INTEGER PRIMARY KEY, id INTEGER NOT NULL, 
    purse TEXT NOT NULL, purchase TEXT NOT NULL, request TEXT NOT NULL, keyed INTEGER NOT NULL,
    method TEXT NOT NULL, url TEXT NOT NULL, scheme TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL,
    offer TEXT NOT NULL, currency TEXT NOT NULL, units INTEGER NOT NULL, created REAL NOT NULL,
    state TEXT NOT NULL, money TEXT NOT NULL, tries INTEGER NOT NULL,
    nonce TEXT, payer TEXT, expires INTEGER, evidence TEXT
, receipt TEXT);
INSERT INTO "past" VALUES(1,4614716566756166878,'default','request past0 default','request past0',0,'GET','https://api.example.com/past0','https','api.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790000030.0,'delivered','spent',0,'0x10','0xAbCdEf0000000000000000000000000000000001',1790000630,'{"height":7}','[true,"0xfeed","eip155:8453","0xpayer",10000,"",{"success":true}]');
INSERT INTO "past" VALUES(2,1776911024784138773,'default','request past1 default','request past1',0,'GET','https://api.example.com/past1','https','api.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790001260.0,'delivered','spent',0,'0x11','0xAbCdEf0000000000000000000000000000000001',1790001860,'{"height":7}','[true,"0xfeed","eip155:8453","0xpayer",10000,"",{"success":true}]');
INSERT INTO "past" VALUES(3,8164734708276696183,'default','request past2 default','request past2',0,'GET','https://api.example.com/past2','https','api.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790002490.0,'delivered','spent',0,'0x12','0xAbCdEf0000000000000000000000000000000001',1790003090,'{"height":7}','[true,"0xfeed","eip155:8453","0xpayer",10000,"",{"success":true}]');
INSERT INTO "past" VALUES(4,3021049762704998405,'default','request past3 default','request past3',0,'GET','https://api.example.com/past3','https','api.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790003720.0,'delivered','spent',0,'0x13','0xAbCdEf0000000000000000000000000000000001',1790004320,'{"height":7}','[true,"0xfeed","eip155:8453","0xpayer",10000,"",{"success":true}]');
INSERT INTO "past" VALUES(5,2486726983676355334,'default','request past4 default','request past4',0,'GET','https://api.example.com/past4','https','api.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790004950.0,'delivered','spent',0,'0x14','0xAbCdEf0000000000000000000000000000000001',1790005550,'{"height":7}','[true,"0xfeed","eip155:8453","0xpayer",10000,"",{"success":true}]');
INSERT INTO "past" VALUES(6,6580916229871740507,'default','request other default','request other',0,'GET','https://b.example.com/other','https','b.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790006180.0,'delivered','spent',0,'0x20','0xAbCdEf0000000000000000000000000000000001',1790006780,'{"height":7}','[true,"0xfeed","eip155:8453","0xpayer",10000,"",{"success":true}]');
INSERT INTO "past" VALUES(7,3808061317121426923,'default','key paid default','request paid',1,'GET','https://api.example.com/paid','https','api.example.com',443,'[[0,2,"exact","eip155:8453",10000,"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",60,"base"],["eip155:8453","0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","USDC",6,"USD Coin","2","USD",null],[10000,"USD"],{"name":"x"}]','USD',10000,1790006270.0,'delivered','spent',0,'0x40','0xAbCdEf0000000000000000000000000000000001',1790006870,'{"height":7}','[true,"0xfeed","eip155:8453","0xpayer",10000,"",{"success":true}]');
CREATE TABLE starts (account INTEGER NOT NULL, span INTEGER NOT NULL, number INTEGER NOT NULL,
       units INTEGER NOT NULL, payments INTEGER NOT NULL, PRIMARY KEY (account, span, number)) WITHOUT ROWID;
INSERT INTO "starts" VALUES(1,0,1790006270,80000,8);
INSERT INTO "starts" VALUES(1,0,1790006300,90000,9);
INSERT INTO "starts" VALUES(1,0,1790006330,100000,10);
INSERT INTO "starts" VALUES(1,1,29833395,30000,3);
INSERT INTO "starts" VALUES(1,1,29833415,40000,4);
INSERT INTO "starts" VALUES(1,1,29833436,50000,5);
INSERT INTO "starts" VALUES(1,1,29833437,70000,7);
INSERT INTO "starts" VALUES(1,1,29833438,90000,9);
INSERT INTO "starts" VALUES(1,2,1243055,0,0);
INSERT INTO "starts" VALUES(1,2,1243056,10000,1);
INSERT INTO "starts" VALUES(1,2,1243057,20000,2);
INSERT INTO "starts" VALUES(1,2,1243058,30000,3);
INSERT INTO "starts" VALUES(1,2,1243059,50000,5);
INSERT INTO "starts" VALUES(1,3,41435,0,0);
INSERT INTO "starts" VALUES(2,0,1790006270,70000,7);
INSERT INTO "starts" VALUES(2,0,1790006300,80000,8);
INSERT INTO "starts" VALUES(2,0,1790006330,90000,9);
INSERT INTO "starts" VALUES(2,1,29833395,30000,3);
INSERT INTO "starts" VALUES(2,1,29833415,40000,4);
INSERT INTO "starts" VALUES(2,1,29833436,50000,5);
INSERT INTO "starts" VALUES(2,1,29833437,60000,6);
INSERT INTO "starts" VALUES(2,1,29833438,80000,8);
INSERT INTO "starts" VALUES(2,2,1243055,0,0);
INSERT INTO "starts" VALUES(2,2,1243056,10000,1);
INSERT INTO "starts" VALUES(2,2,1243057,20000,2);
INSERT INTO "starts" VALUES(2,2,1243058,30000,3);
INSERT INTO "starts" VALUES(2,2,1243059,50000,5);
INSERT INTO "starts" VALUES(2,3,41435,0,0);
INSERT INTO "starts" VALUES(3,0,1790006180,0,0);
INSERT INTO "starts" VALUES(3,1,29833436,0,0);
INSERT INTO "starts" VALUES(3,2,1243059,0,0);
INSERT INTO "starts" VALUES(3,3,41435,0,0);
INSERT INTO "starts" VALUES(4,0,1790006180,0,0);
INSERT INTO "starts" VALUES(4,1,29833436,0,0);
INSERT INTO "starts" VALUES(4,2,1243059,0,0);
INSERT INTO "starts" VALUES(4,3,41435,0,0);
CREATE TABLE windows (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, seconds INTEGER);
INSERT INTO "windows" VALUES(0,'minute',60);
INSERT INTO "windows" VALUES(1,'hour',3600);
INSERT INTO "windows" VALUES(2,'day',86400);
INSERT INTO "windows" VALUES(3,'month',2592000);
INSERT INTO "windows" VALUES(4,'total',NULL);
COMMIT;
